document.querySelectorAll("table.sorts").forEach(function (table) {
  var body = table.tBodies[0], heads = table.tHead.rows[0].cells;
  function key(row, column) {
    var cell = row.cells[column], value = cell.dataset.v;
    return value === undefined ? cell.textContent : value === "" ? null : Number(value);
  }
  Array.prototype.forEach.call(heads, function (head, column) {
    var button = document.createElement("button");
    button.textContent = head.textContent;
    head.textContent = "";
    head.appendChild(button);
    button.addEventListener("click", function () {
      var up = head.getAttribute("aria-sort") !== "ascending";
      var rows = Array.prototype.map.call(body.rows, function (row) { return [key(row, column), row]; });
      rows.sort(function (a, b) {
        if (a[0] === null || b[0] === null) return (a[0] === null) - (b[0] === null);
        var order = typeof a[0] === "number" ? a[0] - b[0] : a[0].localeCompare(b[0], undefined, { numeric: true });
        return up ? order : -order;
      });
      Array.prototype.forEach.call(heads, function (other) { other.removeAttribute("aria-sort"); });
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      rows.forEach(function (row) { body.appendChild(row[1]); });
    });
  });
});
var find = document.querySelector(".find");
if (find) {
  find.hidden = false;
  find.addEventListener("input", function () {
    var words = find.value.toLowerCase().split(/\s+/);
    Array.prototype.forEach.call(document.querySelector("table.sorts").tBodies[0].rows, function (row) {
      var text = row.textContent.toLowerCase();
      row.hidden = !words.every(function (word) { return text.indexOf(word) >= 0; });
    });
  });
}

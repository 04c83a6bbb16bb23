/* The frame of the smaller pages: comparisons, rankings, history. */
#include "results/page/page.h"

void prony_page_open(FILE *out, const char *title)
{
    (void)fputs("<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n"
                "<meta name=viewport content=\"width=device-width, initial-scale=1\">\n<meta name=color-scheme "
                "content=\"light dark\">\n<title>prony: ",
                out);
    prony_html(out, title);
    (void)fprintf(out,
                  "</title>\n<style>\n%s</style>\n</head>\n<body>\n<header>\n<p class=brand>prony, a dynamometer for "
                  "parallel engines</p>\n<h1>",
                  prony_page_css);
    prony_html(out, title);
    (void)fputs("</h1>\n</header>\n<main>\n", out);
}

void prony_page_close(FILE *out)
{
    (void)fprintf(out, "</main>\n<footer>prony %s</footer>\n<script>\n%s</script>\n</body>\n</html>\n", PRONY_VERSION,
                  prony_page_js);
}

/* Fits of scaling laws: Levenberg and Marquardt by GSL, intervals by the bootstrap. */
#include "stats/scaling.h"

#include <errno.h>
#include <gsl/gsl_blas.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_multifit_nlinear.h>
#include <gsl/gsl_sort.h>
#include <math.h>
#include <stdlib.h>

enum { STEPS_MOST = 100, PARAMETERS_MOST = 3 };
static const double exactness = 1e-10;

/* What is searched is free of bounds: ln lambda, the angle whose squared sine is s, the root of k. */
struct search {
    enum prony_law law;
    size_t n;
    const double *workers;
    double *log_rates;
};

const char *prony_law_name(enum prony_law law)
{
    static const char *const names[] = {
        [PRONY_AMDAHL] = "amdahl", [PRONY_GUSTAFSON] = "gustafson", [PRONY_USL] = "usl"};
    return names[law];
}

static size_t parameters(enum prony_law law)
{
    return law == PRONY_USL ? 3 : 2;
}

size_t prony_law_least(enum prony_law law)
{
    return parameters(law) + 1;
}

static double log_shape(enum prony_law law, double workers, double s, double k)
{
    if (law == PRONY_GUSTAFSON)
        return log(workers - s * (workers - 1));
    return log(workers) - log1p(s * (workers - 1) + k * workers * (workers - 1));
}

double prony_scaling_rate(const struct prony_scaling *fit, double workers)
{
    double k = fit->law == PRONY_USL ? fit->coherency.value : 0;
    return fit->lambda.value * exp(log_shape(fit->law, workers, fit->serial.value, k));
}

static double share(double angle)
{
    return sin(angle) * sin(angle);
}

static int residuals(const gsl_vector *x, void *context, gsl_vector *into)
{
    const struct search *search = context;
    double s = share(gsl_vector_get(x, 1)), root = search->law == PRONY_USL ? gsl_vector_get(x, 2) : 0;
    for (size_t i = 0; i < search->n; i++)
        gsl_vector_set(into, i,
                       gsl_vector_get(x, 0) + log_shape(search->law, search->workers[i], s, root * root) -
                           search->log_rates[i]);
    return GSL_SUCCESS;
}

/* From one start; the sum of squares, NaN when there is no end in reach. */
static double descend(gsl_multifit_nlinear_workspace *work, struct search *search, const double *start, double *end)
{
    gsl_multifit_nlinear_fdf system = {.f = residuals, .n = search->n, .p = parameters(search->law), .params = search};
    gsl_vector_const_view from = gsl_vector_const_view_array(start, system.p);
    double square;
    int info;
    if (gsl_multifit_nlinear_init(&from.vector, &system, work) != GSL_SUCCESS)
        return NAN;
    switch (gsl_multifit_nlinear_driver(STEPS_MOST, exactness, exactness, exactness, NULL, NULL, &info, work)) {
    case GSL_SUCCESS:
    case GSL_ENOPROG: /* no step makes it better: that is an end too */
        break;
    default:
        return NAN;
    }
    (void)gsl_blas_ddot(gsl_multifit_nlinear_residual(work), gsl_multifit_nlinear_residual(work), &square);
    for (size_t i = 0; i < system.p; i++)
        end[i] = gsl_vector_get(gsl_multifit_nlinear_position(work), i);
    return square;
}

/* The best end from several starts: good, middling and poor scaling. */
static double solve(gsl_multifit_nlinear_workspace *work, struct search *search, double *best)
{
    static const double starts[][2] = {{0.1, 0.003}, {0.35, 0.05}, {0.9, 0.3}};
    double least = NAN;
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        double start[PARAMETERS_MOST] = {0, starts[i][0], starts[i][1]}, end[PARAMETERS_MOST] = {0}, square;
        start[0] = search->log_rates[0] - log_shape(search->law, search->workers[0], share(start[1]),
                                                    search->law == PRONY_USL ? start[2] * start[2] : 0);
        square = descend(work, search, start, end);
        if (isnan(square) || (!isnan(least) && square >= least))
            continue;
        least = square;
        for (size_t j = 0; j < PARAMETERS_MOST; j++)
            best[j] = end[j];
    }
    return least;
}

enum { LAMBDA, SERIAL, COHERENCY, PEAK, ESTIMATES };

static void translate(enum prony_law law, const double *found, double *values)
{
    values[LAMBDA] = exp(found[0]);
    values[SERIAL] = share(found[1]);
    values[COHERENCY] = law == PRONY_USL ? found[2] * found[2] : NAN;
    values[PEAK] = INFINITY;
    if (law == PRONY_USL && values[COHERENCY] > 1e-12)
        values[PEAK] = fmax(1, sqrt((1 - values[SERIAL]) / values[COHERENCY]));
}

/* The middle 95% of what the draws gave. */
static void bound(struct prony_estimate *estimate, double *draws, size_t n)
{
    size_t cut = n / 40;
    gsl_sort(draws, 1, n);
    estimate->low = n < 40 ? NAN : draws[cut];
    estimate->high = n < 40 ? NAN : draws[n - 1 - cut];
}

static void redraw(const struct prony_scaling_point *points, size_t n, double *scratch, uint64_t *seed,
                   double *log_rates)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < points[i].visits; j++)
            scratch[j] = points[i].rates[prony_random_below(seed, points[i].visits)];
        log_rates[i] = log(prony_median(scratch, points[i].visits));
    }
}

static int check(enum prony_law law, const struct prony_scaling_point *points, size_t n, size_t *visits)
{
    *visits = 1;
    if (n < prony_law_least(law))
        return -ERANGE;
    for (size_t i = 0; i < n; i++) {
        if (points[i].visits == 0 || !(points[i].workers >= 1))
            return -EINVAL;
        for (size_t j = 0; j < i; j++)
            if (points[j].workers == points[i].workers)
                return -EINVAL;
        for (size_t j = 0; j < points[i].visits; j++)
            if (!(points[i].rates[j] > 0 && points[i].rates[j] < INFINITY))
                return -EINVAL;
        *visits = points[i].visits > *visits ? points[i].visits : *visits;
    }
    return 0;
}

static int estimate(const struct prony_scaling_point *points, unsigned resamples, uint64_t seed, double *scratch,
                    double *draws, gsl_multifit_nlinear_workspace *work, struct search *search,
                    struct prony_scaling *fit)
{
    struct prony_estimate *estimates[ESTIMATES] = {&fit->lambda, &fit->serial, &fit->coherency, &fit->peak};
    double found[PARAMETERS_MOST] = {0}, values[ESTIMATES], square;
    size_t done = 0;
    for (size_t i = 0; i < search->n; i++)
        search->log_rates[i] = log(prony_median(points[i].rates, points[i].visits));
    square = solve(work, search, found);
    if (isnan(square))
        return -EDOM;
    fit->law = search->law;
    fit->misfit = sqrt(square / (double)search->n);
    translate(search->law, found, values);
    for (size_t e = 0; e < ESTIMATES; e++)
        *estimates[e] = (struct prony_estimate){values[e], NAN, NAN};
    for (unsigned i = 0; i < resamples; i++) {
        redraw(points, search->n, scratch, &seed, search->log_rates);
        if (isnan(solve(work, search, found)))
            continue;
        translate(search->law, found, values);
        for (size_t e = 0; e < ESTIMATES; e++)
            draws[e * resamples + done] = values[e];
        done++;
    }
    for (size_t e = 0; e < ESTIMATES; e++)
        if (e != COHERENCY || search->law == PRONY_USL)
            bound(estimates[e], draws + e * resamples, done);
    return 0;
}

int prony_scaling_fit(enum prony_law law, const struct prony_scaling_point *points, size_t n, unsigned resamples,
                      uint64_t seed, struct prony_scaling *fit)
{
    gsl_multifit_nlinear_parameters options = gsl_multifit_nlinear_default_parameters();
    gsl_multifit_nlinear_workspace *work = NULL;
    gsl_error_handler_t *handler = gsl_set_error_handler_off();
    double *workers = NULL, *draws = NULL, *scratch = NULL;
    struct search search = {.law = law, .n = n};
    size_t visits;
    int code = check(law, points, n, &visits);
    if (code != 0)
        goto out;
    workers = malloc(2 * n * sizeof *workers);
    draws = malloc(ESTIMATES * (resamples + 1u) * sizeof *draws);
    scratch = malloc(visits * sizeof *scratch);
    work = gsl_multifit_nlinear_alloc(gsl_multifit_nlinear_trust, &options, n, parameters(law));
    if (workers == NULL || draws == NULL || scratch == NULL || work == NULL) {
        code = -ENOMEM;
        goto out;
    }
    for (size_t i = 0; i < n; i++)
        workers[i] = points[i].workers;
    search.workers = workers;
    search.log_rates = workers + n;
    code = estimate(points, resamples, seed, scratch, draws, work, &search, fit);
out:
    if (work != NULL)
        gsl_multifit_nlinear_free(work);
    free(scratch);
    free(draws);
    free(workers);
    (void)gsl_set_error_handler(handler);
    return code;
}

#include <prony/error.h>

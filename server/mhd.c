#include "server/mhd.h"
#include "base/late.h"

struct mhd mhd;

urd_err *mhd_load(void)
{
    const struct urd_late functions[] = {
        {"MHD_start_daemon", &mhd.start_daemon},
        {"MHD_stop_daemon", &mhd.stop_daemon},
        {"MHD_get_connection_info", &mhd.get_connection_info},
        {"MHD_get_connection_values", &mhd.get_connection_values},
        {"MHD_get_connection_values_n", &mhd.get_connection_values_n},
        {"MHD_lookup_connection_value", &mhd.lookup_connection_value},
        {"MHD_create_response_from_buffer", &mhd.create_response_from_buffer},
        {"MHD_create_response_from_callback", &mhd.create_response_from_callback},
        {"MHD_add_response_header", &mhd.add_response_header},
        {"MHD_queue_response", &mhd.queue_response},
        {"MHD_destroy_response", &mhd.destroy_response}};
    return urd_late_load(URD_MICROHTTPD_SONAME, functions, sizeof functions / sizeof *functions);
}

/**
 * libmicrohttpd, which brings 13 libraries more: loaded when a server starts.
 */
#ifndef URD_SERVER_MHD_H
#define URD_SERVER_MHD_H
#include "base/err.h"
#include <microhttpd.h>

/** Its functions that are used here; not before mhd_load. */
extern struct mhd {
    __typeof__(MHD_start_daemon) *start_daemon;
    __typeof__(MHD_stop_daemon) *stop_daemon;
    __typeof__(MHD_get_connection_info) *get_connection_info;
    __typeof__(MHD_get_connection_values) *get_connection_values;
    __typeof__(MHD_get_connection_values_n) *get_connection_values_n;
    __typeof__(MHD_lookup_connection_value) *lookup_connection_value;
    __typeof__(MHD_create_response_from_buffer) *create_response_from_buffer;
    __typeof__(MHD_create_response_from_callback) *create_response_from_callback;
    __typeof__(MHD_add_response_header) *add_response_header;
    __typeof__(MHD_queue_response) *queue_response;
    __typeof__(MHD_destroy_response) *destroy_response;
} mhd;

urd_err *mhd_load(void) URD_MUST_USE;
#endif

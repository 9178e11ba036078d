/** Starting the subject, pinned and traced, and describing this machine in the trace's header. */
#ifndef URD_RECORD_LAUNCH_H
#define URD_RECORD_LAUNCH_H
#include "trace/trace.h"
#include <sched.h>
#include <sys/types.h>
urd_err *launch_describe(char **argv, int core, struct urd_trace_info *ret) URD_MUST_USE;
/** Pin this thread to the core it is on and give its number. All that it could be pinned to into *ret_cpus. */
int launch_pin(cpu_set_t *ret_cpus);
/** Find the program as execvp would. malloc'ed; URD_ERR_QUESTION when there is none. */
urd_err *launch_find_program(const char *name, char **ret) URD_MUST_USE;
/**
 * Fork a child that will exec `program`; it is seized by ptrace and stopped before that. filter: it installs one before it execs, so
 * that calls stop at PTRACE_EVENT_SECCOMP, but for those of the runtime region.
 */
urd_err *launch_subject(const char *program, char **argv, bool filter, pid_t *ret) URD_MUST_USE;
/** What a stop by the recorder's filter says (PTRACE_GETEVENTMSG). */
#define LAUNCH_FILTER_DATA 0x7572
extern const long launch_ptrace_options;
#endif

#include "trace/info.h"

void urd_trace_info_deinit(struct urd_trace_info *info)
{
    for (int i = 0; i < info->argc; i++)
        free(info->argv[i]);
    free(info->argv);
    free(info->cwd);
    free(info->host);
    free(info->kernel);
    free(info->cpu);
    free(info->version);
    free(info->cpuid);
    *info = (struct urd_trace_info){0};
}

bool urd_trace_info_cpuid(const struct urd_trace_info *info, uint32_t leaf, uint32_t subleaf,
                          struct urd_cpuid *ret)
{
    const struct urd_cpuid *last = NULL;
    for (uint32_t i = 0; i < info->n_cpuid; i++) {
        if (info->cpuid[i].leaf != leaf)
            continue;
        if (info->cpuid[i].subleaf == subleaf) {
            *ret = info->cpuid[i];
            return true;
        }
        last = &info->cpuid[i];
    }
    /* a leaf that ignores its subleaf was written down once, with subleaf ~0 */
    if (last && last->subleaf == ~0u) {
        *ret = *last;
        return true;
    }
    return false;
}

_Static_assert(sizeof(struct urd_cpuid) == sizeof(struct urd_runtime_cpuid), "the same fields");

/** For certain (SDM vol. 2, CPUID; AMD APM vol. 3, appendix E): others, and those to come, are the processor's to answer. */
static bool ignores_subleaf(uint32_t leaf)
{
    return leaf <= 3 || leaf == 5 || leaf == 6 || leaf == 9 || leaf == 0xa || leaf == 0x15 ||
           leaf == 0x16 || leaf == 0x19 || leaf - 0x80000000 <= 8;
}

uint32_t urd_trace_info_table(const struct urd_trace_info *info, struct urd_runtime_cpuid *ret)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < info->n_cpuid && n < URD_RUNTIME_CPUIDS; i++)
        if (info->cpuid[i].subleaf != ~0u || ignores_subleaf(info->cpuid[i].leaf))
            memcpy(&ret[n++], &info->cpuid[i], sizeof *ret);
    return n;
}

static const char *text_or_empty(const char *text)
{
    return text ? text : "";
}

void urd_trace_info_encode(const struct urd_trace_info *info, struct urd_buf *out)
{
    urd_buf_varint(out, (uint64_t)info->argc);
    for (int i = 0; i < info->argc; i++)
        urd_buf_text(out, info->argv[i]);
    urd_buf_text(out, text_or_empty(info->cwd));
    urd_buf_text(out, text_or_empty(info->host));
    urd_buf_text(out, text_or_empty(info->kernel));
    urd_buf_text(out, text_or_empty(info->cpu));
    urd_buf_text(out, text_or_empty(info->version));
    urd_buf_varint(out, (uint64_t)info->core);
    urd_buf_varint(out, (uint64_t)info->started_unix);
    urd_buf_varint(out, info->xfeatures);
    urd_buf_varint(out, info->n_cpuid);
    urd_buf_put(out, info->cpuid, info->n_cpuid * sizeof *info->cpuid);
    urd_buf_u8(out,
               (uint8_t)(info->counted | info->former_stacks << 1 | info->handlers_stacks << 2));
}

urd_err *urd_trace_info_decode(const void *data, size_t size, struct urd_trace_info *ret)
{
    struct urd_cursor in = urd_cursor(data, size);
    struct urd_trace_info info = {0};
    uint64_t argc = urd_cursor_varint(&in);
    if (argc > urd_cursor_left(&in))
        URD_FAIL("the trace's header is damaged");
    info.argv = urd_xcalloc(argc + 1, sizeof *info.argv);
    for (uint64_t i = 0; i < argc && in.ok; i++) {
        info.argv[i] = urd_cursor_text(&in);
        info.argc += info.argv[i] != NULL;
    }
    info.cwd = urd_cursor_text(&in);
    info.host = urd_cursor_text(&in);
    info.kernel = urd_cursor_text(&in);
    info.cpu = urd_cursor_text(&in);
    info.version = urd_cursor_text(&in);
    info.core = (int)urd_cursor_varint(&in);
    info.started_unix = (int64_t)urd_cursor_varint(&in);
    info.xfeatures = urd_cursor_varint(&in);
    uint64_t n = urd_cursor_varint(&in);
    if (in.ok && n <= urd_cursor_left(&in) / sizeof *info.cpuid) {
        info.n_cpuid = (uint32_t)n;
        info.cpuid = urd_xcalloc(n, sizeof *info.cpuid);
        const uint8_t *p = urd_cursor_bytes(&in, n * sizeof *info.cpuid);
        if (p)
            memcpy(info.cpuid, p, n * sizeof *info.cpuid);
    } else {
        in.ok = false;
    }
    if (urd_cursor_left(&in)) { /* older traces end here */
        uint8_t bits = urd_cursor_u8(&in);
        info.counted = bits & 1;
        info.former_stacks = bits >> 1 & 1;
        info.handlers_stacks = bits >> 2 & 1;
    }
    if (!in.ok) {
        urd_trace_info_deinit(&info);
        URD_FAIL("the trace's header is damaged");
    }
    *ret = info;
    return NULL;
}

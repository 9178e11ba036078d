#include "record/event_builder.h"
#include "base/tracee.h"

void event_begin(struct event_builder *b, enum urd_event_kind kind, pid_t pid, pid_t tid)
{
    b->event = (struct urd_event){
        .kind = (uint8_t)kind, .pid = pid, .tid = tid, .syscall = -1, .text = ""};
    b->n_ops = b->n_writes = 0;
    b->bytes.size = b->output.size = 0;
    for (unsigned i = 0; i < b->n_names; i++)
        free(b->names[i]);
    b->n_names = 0;
    free(b->text);
    b->text = NULL;
}

/** The next `size` bytes of b->bytes were written to the address. */
static void add_write(struct event_builder *b, uint64_t address, uint64_t size)
{
    URD_PUSH(b->writes, b->n_writes, b->cap_writes) = (struct urd_mem_write){
        .address = address, .size = size, .data = (const uint8_t *)(uintptr_t)b->bytes.size};
    b->bytes.size += size;
}

void event_add_memory(struct event_builder *b, int mem, uint64_t address, uint64_t size)
{
    if (!address || !size)
        return;
    urd_buf_reserve(&b->bytes, size);
    size_t got = urd_tracee_read(mem, address, b->bytes.data + b->bytes.size, size);
    if (got)
        add_write(b, address, got);
}

void event_add_bytes(struct event_builder *b, uint64_t address, const void *data, uint64_t size)
{
    urd_buf_reserve(&b->bytes, size);
    memcpy(b->bytes.data + b->bytes.size, data, size);
    add_write(b, address, size);
}

void event_add_clone(struct event_builder *b, uint64_t address, uint64_t size, uint64_t at)
{
    URD_PUSH(b->writes, b->n_writes, b->cap_writes) =
        (struct urd_mem_write){.address = address, .size = size, .clone = at + 1};
}

void event_add_op(struct event_builder *b, struct urd_map_op op)
{
    if (op.name && *op.name && b->n_names < 64)
        op.name = b->names[b->n_names++] = strdup(op.name);
    else
        op.name = "";
    URD_PUSH(b->ops, b->n_ops, b->cap_ops) = op;
}

void event_add_output(struct event_builder *b, int which, int mem, uint64_t address, uint64_t size)
{
    b->event.output = (uint8_t)which;
    urd_buf_reserve(&b->output, size + 1);
    b->output.size += urd_tracee_read(mem, address, b->output.data + b->output.size, size);
}

void event_add_output_bytes(struct event_builder *b, int which, const void *data, uint64_t size)
{
    b->event.output = (uint8_t)which;
    urd_buf_put(&b->output, data, size);
}

const struct urd_event *event_finish(struct event_builder *b)
{
    for (uint32_t i = 0; i < b->n_writes; i++)
        b->writes[i].data = b->bytes.data + (uintptr_t)b->writes[i].data;
    b->event.writes = b->writes;
    b->event.n_writes = b->n_writes;
    b->event.map_ops = b->ops;
    b->event.n_map_ops = b->n_ops;
    b->event.output_data = b->output.data;
    b->event.output_size = b->output.size;
    if (b->text)
        b->event.text = b->text;
    return &b->event;
}

void event_builder_deinit(struct event_builder *b)
{
    event_begin(b, URD_EVENT_NONE, 0, 0);
    free(b->ops);
    free(b->writes);
    urd_buf_deinit(&b->bytes);
    urd_buf_deinit(&b->output);
}

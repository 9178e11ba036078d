#include "debuginfo/summary.h"
#include "debuginfo/private.h"
#include <stdio.h>

enum {
    DEEP = 16, /* base classes, or structs, in each other */
    MOST_CLASSES = 200,
    TREE_DEEP = 80, /* a red-black tree of MOST nodes is no deeper */
};
#define MOST                                                                                       \
    (1ull << 40) /* elements: more are no container but memory that nobody has written yet */

/* ---- members by name ---- */

/** A member, also one of a base class or an anonymous struct. left: classes that may be looked at, as a damaged file may have any number. */
static bool get_within(const struct urd_frame *f, const struct urd_value *v, const char *name,
                       unsigned *left, struct urd_value *ret)
{
    size_t n;
    if (!*left)
        return false;
    --*left;
    const struct urd_member *m = urd_debuginfo_type_members(v->type, &n);
    for (size_t i = 0; i < n; i++)
        if (m[i].name && !m[i].is_base && !strcmp(m[i].name, name)) {
            urd_debuginfo_value_member(f, v, &m[i], ret);
            return true;
        }
    for (size_t i = 0; i < n; i++) {
        if ((m[i].name && !m[i].is_base) || m[i].is_virtual_base)
            continue;
        struct urd_value part;
        urd_debuginfo_value_member(f, v, &m[i], &part);
        bool found = get_within(f, &part, name, left, ret);
        urd_debuginfo_value_deinit(&part);
        if (found)
            return true;
    }
    return false;
}

static bool get(const struct urd_frame *f, const struct urd_value *v, const char *name,
                struct urd_value *ret)
{
    unsigned left = MOST_CLASSES;
    return get_within(f, v, name, &left, ret);
}

/** "a.b.c" of v. */
static bool get_path(const struct urd_frame *f, const struct urd_value *v, const char *path,
                     struct urd_value *ret)
{
    struct urd_value now;
    urd_debuginfo_value_copy(v, &now);
    bool found = true;
    while (found && *path) {
        char name[64];
        size_t n = strcspn(path, ".");
        struct urd_value part;
        snprintf(name, sizeof name, "%.*s", (int)n, path);
        found = get(f, &now, name, &part);
        path += n + (path[n] == '.');
        if (found) {
            urd_debuginfo_value_deinit(&now);
            now = part;
        }
    }
    if (found)
        *ret = now;
    else
        urd_debuginfo_value_deinit(&now);
    return found;
}

static bool get_number(const struct urd_frame *f, const struct urd_value *v, const char *path,
                       uint64_t *ret)
{
    struct urd_value part;
    if (!get_path(f, v, path, &part))
        return false;
    urd_debuginfo_value_fetch(f, &part);
    bool ok = urd_debuginfo_value_to_u64(&part, ret);
    urd_debuginfo_value_deinit(&part);
    return ok;
}

/** What a pointer at the path points to. */
static const struct urd_type *pointee_of(const struct urd_frame *f, const struct urd_value *v,
                                         const char *path)
{
    struct urd_value part;
    if (!get_path(f, v, path, &part))
        return NULL;
    const struct urd_type *t = urd_debuginfo_type_strip(part.type);
    urd_debuginfo_value_deinit(&part);
    return t->kind == URD_TYPE_POINTER ? t->target : NULL;
}

static bool read_u64(const struct urd_frame *f, uint64_t address, uint64_t *ret)
{
    return f->read_memory && f->read_memory(f->data, address, ret, sizeof *ret);
}

/** The type that a template's parameter of this name is. */
static const struct urd_type *argument(const struct urd_type *type, const char *name)
{
    const struct urd_type *t = urd_debuginfo_type_strip(type);
    struct urd_die die, child;
    if (!t->die || !urd_debuginfo_die_at(&t->module->dwarf, t->die, &die))
        return NULL;
    for (bool more = urd_debuginfo_die_child(&die, &child); more;
         more = urd_debuginfo_die_sibling(&child, &child)) {
        const char *is = urd_debuginfo_die_name(&child);
        if (child.abbrev->tag == DW_TAG_template_type_parameter && is && !strcmp(is, name))
            return urd_debuginfo_die_type(t->module, &child);
    }
    return NULL;
}

static uint64_t size_of(const struct urd_type *t)
{
    return urd_debuginfo_type_strip(t)->size;
}

static uint64_t align_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) / to * to;
}

static uint64_t alignment(const struct urd_type *type, unsigned depth);

static uint64_t alignment_of_struct(const struct urd_type *t, unsigned depth)
{
    struct urd_die die;
    struct urd_attr a;
    if (t->die && urd_debuginfo_die_at(&t->module->dwarf, t->die, &die) &&
        urd_debuginfo_die_attr(&die, DW_AT_alignment, &a) && a.class == URD_ATTR_CONSTANT)
        return a.u;
    uint64_t most = 1;
    size_t n;
    const struct urd_member *m = urd_debuginfo_type_members(t, &n);
    for (size_t i = 0; i < n; i++) {
        uint64_t one = depth < DEEP ? alignment(m[i].type, depth + 1) : 0;
        if (m[i].is_virtual_base)
            one = 8;
        if (!one)
            return 0;
        most = one > most ? one : most;
    }
    return most;
}

/** As the compiler aligns it; 0: not known. */
static uint64_t alignment(const struct urd_type *type, unsigned depth)
{
    const struct urd_type *t = urd_debuginfo_type_strip(type);
    if (t->kind == URD_TYPE_ARRAY)
        return depth < DEEP ? alignment(t->target, depth + 1) : 0;
    if (t->kind != URD_TYPE_STRUCT && t->kind != URD_TYPE_UNION)
        return t->size && t->size <= 16 && (t->size & (t->size - 1)) == 0 ? t->size : 0;
    if (!t->die)
        return 0;
    const uint64_t *known = urd_map_get(&t->module->alignments, t->die);
    if (known)
        return *known;
    *urd_map_put(&t->module->alignments, t->die) =
        0; /* of a type within itself, which there is none of */
    uint64_t n = alignment_of_struct(t, depth);
    *urd_map_put(&t->module->alignments, t->die) = n;
    return n;
}

/* ---- one after the other ---- */

static bool next_in_array(const struct urd_frame *f, struct urd_summary *s)
{
    s->at = s->node;
    s->node += s->step;
    return true;
}

/** What there would be, if there is anything. */
static void is_array_of(struct urd_summary *s, enum urd_summary_kind kind,
                        const struct urd_type *type)
{
    s->kind = kind;
    s->type = type;
    s->indexable = type && size_of(type);
}

static bool array(struct urd_summary *s, uint64_t start, uint64_t count,
                  const struct urd_type *type)
{
    is_array_of(s, URD_SUMMARY_ELEMENTS, type);
    s->count = count;
    s->node = s->first = start;
    s->step = type ? size_of(type) : 0;
    s->next = next_in_array;
    return s->step && count < MOST && (!count || start);
}

/** Its elements are the characters of one, if it is as it should be. */
static bool string(struct urd_summary *s, bool as_it_should)
{
    s->kind = URD_SUMMARY_STRING;
    s->first = s->at = s->at ? s->at : s->node;
    return as_it_should && s->indexable;
}

/** Between two addresses; capacity_end: what no container goes beyond. */
static bool span(struct urd_summary *s, uint64_t start, uint64_t end, uint64_t capacity_end,
                 const struct urd_type *type)
{
    uint64_t size = type ? size_of(type) : 0;
    return size && start <= end && end <= capacity_end && (end - start) % size == 0 &&
           array(s, start, (end - start) / size, type);
}

/** The first word of a node leads to the next one; the element is `place` bytes behind the node. */
static bool next_in_list(const struct urd_frame *f, struct urd_summary *s)
{
    if (!s->node || s->node == s->end)
        return false;
    s->at = s->node + s->place;
    return read_u64(f, s->node, &s->node);
}

/** struct _Rb_tree_node_base { color; parent; left; right; }: SGI's red-black tree, in order. */
static bool next_in_tree(const struct urd_frame *f, struct urd_summary *s)
{
    uint64_t at = s->node, right, parent, below;
    if (!at || at == s->end)
        return false;
    s->at = at + s->place;
    if (s->given + 1 == s->count)
        return true;
    if (!read_u64(f, at + 24, &right))
        return false;
    if (right) {
        at = right;
        for (unsigned i = 0; i < TREE_DEEP; i++) {
            if (!read_u64(f, at + 16, &below))
                return false;
            if (!below)
                break;
            at = below;
        }
        s->node = at;
        return true;
    }
    for (unsigned i = 0; i < TREE_DEEP; i++) {
        if (!read_u64(f, at + 8, &parent) || !read_u64(f, parent + 24, &below))
            return false;
        bool came_from_right = below == at;
        at = parent;
        if (!came_from_right)
            break;
    }
    s->node = at;
    return true;
}

/** Of a deque: `node` is the map's entry of the piece, `step` the offset in it, `place` bytes of a piece, `end` of an element. */
static bool next_in_deque(const struct urd_frame *f, struct urd_summary *s)
{
    uint64_t piece;
    if (!read_u64(f, s->node, &piece))
        return false;
    s->at = piece + s->step;
    s->step += s->end;
    if (s->step + s->end > s->place) {
        s->step = 0;
        s->node += 8;
    }
    return true;
}

/** Elements of nodes that begin with so many bytes of links. False: it is not known where in a node they lie. */
static bool nodes(struct urd_summary *s, bool pairs, const struct urd_type *type, uint64_t links)
{
    uint64_t align = type ? alignment(type, 0) : 0;
    s->kind = pairs ? URD_SUMMARY_PAIRS : URD_SUMMARY_ELEMENTS;
    s->type = type;
    s->place = align ? align_up(links, align) : 0;
    return align;
}

/* ---- libstdc++ ---- */

static bool cpp_string(const struct urd_frame *f, const struct urd_value *v, struct urd_summary *s)
{
    const char *at = "_M_dataplus._M_p", *count = "_M_string_length";
    const struct urd_type *type = pointee_of(f, v, at);
    if (!type) {
        at = "_M_str";
        count = "_M_len";
        type = pointee_of(f, v, at);
    }
    is_array_of(s, URD_SUMMARY_STRING, type);
    return string(s, get_number(f, v, count, &s->count) && get_number(f, v, at, &s->at));
}

static bool cpp_vector(const struct urd_frame *f, const struct urd_value *v, struct urd_summary *s)
{
    uint64_t start, end, capacity;
    is_array_of(s, URD_SUMMARY_ELEMENTS, pointee_of(f, v, "_M_impl._M_start"));
    return get_number(f, v, "_M_impl._M_start", &start) &&
           get_number(f, v, "_M_impl._M_finish", &end) &&
           get_number(f, v, "_M_impl._M_end_of_storage", &capacity) &&
           span(s, start, end, capacity, s->type);
}

static bool cpp_deque(const struct urd_frame *f, const struct urd_value *v, struct urd_summary *s)
{
    uint64_t cur, first, end, end_first, last_node;
    s->kind = URD_SUMMARY_ELEMENTS;
    s->type = pointee_of(f, v, "_M_impl._M_start._M_cur");
    s->next = next_in_deque;
    s->end = s->type ? size_of(s->type) : 0;
    if (!s->end || !get_number(f, v, "_M_impl._M_start._M_cur", &cur) ||
        !get_number(f, v, "_M_impl._M_start._M_first", &first) ||
        !get_number(f, v, "_M_impl._M_start._M_node", &s->node) ||
        !get_number(f, v, "_M_impl._M_finish._M_cur", &end) ||
        !get_number(f, v, "_M_impl._M_finish._M_first", &end_first) ||
        !get_number(f, v, "_M_impl._M_finish._M_node", &last_node))
        return false;
    uint64_t in_piece = s->end < 512 ? 512 / s->end : 1, pieces = (last_node - s->node) / 8;
    s->place = in_piece * s->end;
    s->step = cur - first;
    s->count = pieces * in_piece + (end - end_first) / s->end - s->step / s->end;
    return cur >= first && s->step < s->place && end >= end_first && last_node >= s->node &&
           s->count < MOST;
}

static bool cpp_list(const struct urd_frame *f, const struct urd_value *v, struct urd_summary *s)
{
    struct urd_value header;
    s->next = next_in_list;
    if (!nodes(s, false, argument(v->type, "_Tp"), 16) ||
        !get_number(f, v, "_M_impl._M_node._M_size", &s->count) ||
        !get_path(f, v, "_M_impl._M_node", &header))
        return false;
    s->end = header.address;
    bool ok = header.lvalue && get_number(f, &header, "_M_next", &s->node);
    urd_debuginfo_value_deinit(&header);
    return ok && s->count < MOST;
}

/** map, set and their multi kind. */
static bool cpp_tree(const struct urd_frame *f, const struct urd_value *v, bool pairs,
                     struct urd_summary *s)
{
    struct urd_value tree, header;
    s->next = next_in_tree;
    if (!get(f, v, "_M_t", &tree))
        return false;
    bool ok = nodes(s, pairs, argument(tree.type, "_Val"), 32) &&
              get_number(f, &tree, "_M_impl._M_node_count", &s->count) &&
              get_path(f, &tree, "_M_impl._M_header", &header);
    urd_debuginfo_value_deinit(&tree);
    if (!ok)
        return false;
    s->end = header.address;
    ok = header.lvalue && get_number(f, &header, "_M_left", &s->node);
    urd_debuginfo_value_deinit(&header);
    return ok && s->count < MOST;
}

/** unordered_map, unordered_set and their multi kind. */
static bool cpp_hash(const struct urd_frame *f, const struct urd_value *v, bool pairs,
                     struct urd_summary *s)
{
    struct urd_value table;
    s->next = next_in_list;
    if (!get(f, v, "_M_h", &table))
        return false;
    bool ok = nodes(s, pairs, argument(table.type, "_Value"), 8) &&
              get_number(f, &table, "_M_element_count", &s->count) &&
              get_number(f, &table, "_M_before_begin._M_nxt", &s->node);
    urd_debuginfo_value_deinit(&table);
    return ok && s->count < MOST;
}

/** The pointer that is somewhere in base classes of a unique_ptr's tuple, beside its deleter. */
static bool find_pointer(const struct urd_frame *f, const struct urd_value *v, unsigned *left,
                         struct urd_value *ret)
{
    size_t n;
    const struct urd_member *m = urd_debuginfo_type_members(v->type, &n);
    if (!*left)
        return false;
    --*left;
    for (size_t i = 0; i < n; i++) {
        struct urd_value part;
        urd_debuginfo_value_member(f, v, &m[i], &part);
        if (m[i].name && !strcmp(m[i].name, "_M_head_impl") &&
            urd_debuginfo_type_strip(m[i].type)->kind == URD_TYPE_POINTER) {
            *ret = part;
            return true;
        }
        bool found = (m[i].is_base || (m[i].name && !strcmp(m[i].name, "_M_t"))) &&
                     find_pointer(f, &part, left, ret);
        urd_debuginfo_value_deinit(&part);
        if (found)
            return true;
    }
    return false;
}

static bool cpp_unique_ptr(const struct urd_frame *f, const struct urd_value *v,
                           struct urd_summary *s)
{
    unsigned left = MOST_CLASSES;
    s->kind = URD_SUMMARY_POINTER;
    return find_pointer(f, v, &left, &s->pointer);
}

static bool cpp_shared_ptr(const struct urd_frame *f, const struct urd_value *v,
                           struct urd_summary *s)
{
    struct urd_value counts, to = {0};
    uint64_t address = 0;
    s->kind = URD_SUMMARY_POINTER;
    if (!get_path(f, v, "_M_refcount._M_pi", &counts))
        return false;
    const struct urd_type *t = urd_debuginfo_type_strip(counts.type);
    urd_debuginfo_value_fetch(f, &counts);
    bool ok = t->kind == URD_TYPE_POINTER && urd_debuginfo_value_to_u64(&counts, &address);
    urd_debuginfo_value_deinit(&counts);
    if (ok && address) {
        urd_debuginfo_value_at(t->target, address, &to);
        ok = get_number(f, &to, "_M_use_count", &s->uses) &&
             get_number(f, &to, "_M_weak_count", &s->weak_uses);
        s->weak_uses -= s->uses > 0; /* all owners together are one */
        ok = ok && s->uses < INT32_MAX && s->weak_uses < INT32_MAX;
    }
    return ok && get(f, v, "_M_ptr", &s->pointer);
}

static bool cpp_optional(const struct urd_frame *f, const struct urd_value *v,
                         struct urd_summary *s)
{
    struct urd_value value;
    uint64_t engaged;
    s->kind = URD_SUMMARY_OPTIONAL;
    if (!get_number(f, v, "_M_payload._M_engaged", &engaged) ||
        !get_path(f, v, "_M_payload._M_payload._M_value", &value))
        return false;
    bool ok = value.lvalue && value.n_pieces == 1 && value.pieces[0].kind == URD_PIECE_MEMORY &&
              engaged <= 1 && array(s, value.address, engaged, value.type);
    urd_debuginfo_value_deinit(&value);
    s->kind = URD_SUMMARY_OPTIONAL;
    return ok;
}

static bool of_cpp(const struct urd_frame *f, const struct urd_value *v, const char *name,
                   struct urd_summary *s)
{
    static const char cxx11[] = "__cxx11::";
    if (!strncmp(name, cxx11, sizeof cxx11 - 1))
        name += sizeof cxx11 - 1;
    size_t n = strcspn(name, "<");
    if (name[n] != '<' || strstr(name, ">::")) /* a class inside of the container's */
        return false;
#define IS(what) (n == sizeof what - 1 && !memcmp(name, what, n))
    if (IS("basic_string") || IS("basic_string_view"))
        return cpp_string(f, v, s);
    if (IS("vector"))
        return cpp_vector(f, v, s);
    if (IS("deque"))
        return cpp_deque(f, v, s);
    if (IS("list"))
        return cpp_list(f, v, s);
    if (IS("map") || IS("multimap") || IS("set") || IS("multiset"))
        return cpp_tree(f, v, name[n - 1] == 'p', s);
    if (IS("unordered_map") || IS("unordered_multimap") || IS("unordered_set") ||
        IS("unordered_multiset"))
        return cpp_hash(f, v, name[n - 1] == 'p', s);
    if (IS("unique_ptr"))
        return cpp_unique_ptr(f, v, s);
    if (IS("shared_ptr") || IS("weak_ptr"))
        return cpp_shared_ptr(f, v, s);
    if (IS("optional"))
        return cpp_optional(f, v, s);
#undef IS
    return false;
}

/* ---- Rust and Go ---- */

/** Rust's slices, &[T] and &str; a string when the elements are bytes of one. */
static bool rust_slice(const struct urd_frame *f, const struct urd_value *v, bool is_string,
                       struct urd_summary *s)
{
    uint64_t start, count;
    is_array_of(s, URD_SUMMARY_ELEMENTS, pointee_of(f, v, "data_ptr"));
    return get_number(f, v, "data_ptr", &start) && get_number(f, v, "length", &count) &&
           array(s, start, count, s->type) && (!is_string || string(s, s->step == 1));
}

static bool rust_vec(const struct urd_frame *f, const struct urd_value *v, bool is_string,
                     struct urd_summary *s)
{
    static const char *const pointers[] = {"buf.inner.ptr.pointer.pointer",
                                           "buf.ptr.pointer.pointer", "buf.inner.ptr.pointer",
                                           "buf.ptr.pointer"};
    uint64_t start = 0, count;
    bool found = false;
    is_array_of(s, URD_SUMMARY_ELEMENTS, argument(v->type, "T"));
    for (unsigned i = 0; i < sizeof pointers / sizeof *pointers && !found; i++)
        found = get_number(f, v, pointers[i], &start);
    return found && get_number(f, v, "len", &count) && array(s, start, count, s->type) &&
           (!is_string || string(s, s->step == 1));
}

static bool rust_string(const struct urd_frame *f, const struct urd_value *v, struct urd_summary *s)
{
    struct urd_value vec;
    if (!get(f, v, "vec", &vec))
        return false;
    bool ok = rust_vec(f, &vec, true, s);
    urd_debuginfo_value_deinit(&vec);
    return ok;
}

static bool go_string(const struct urd_frame *f, const struct urd_value *v, struct urd_summary *s)
{
    is_array_of(s, URD_SUMMARY_STRING, pointee_of(f, v, "str"));
    return string(s, get_number(f, v, "str", &s->at) && get_number(f, v, "len", &s->count));
}

static bool go_slice(const struct urd_frame *f, const struct urd_value *v, struct urd_summary *s)
{
    uint64_t start, count, capacity;
    is_array_of(s, URD_SUMMARY_ELEMENTS, pointee_of(f, v, "array"));
    return get_number(f, v, "array", &start) && get_number(f, v, "len", &count) &&
           get_number(f, v, "cap", &capacity) && count <= capacity &&
           array(s, start, count, s->type);
}

static bool is_go(const struct urd_type *t)
{
    const struct urd_unit *u = urd_debuginfo_unit_of(&t->module->dwarf, t->die);
    return u && u->language == DW_LANG_Go;
}

static bool starts(const char *name, const char *with)
{
    return !strncmp(name, with, strlen(with));
}

/** A string's bytes can be read, or it is none. */
static bool is_readable(const struct urd_frame *f, const struct urd_summary *s)
{
    uint8_t byte;
    uint64_t size = s->type ? size_of(s->type) : 0;
    return size && size <= 4 && s->count < MOST / 8 &&
           (!s->count || (f->read_memory && f->read_memory(f->data, s->at, &byte, 1) &&
                          f->read_memory(f->data, s->at + s->count * size - 1, &byte, 1)));
}

bool urd_debuginfo_summary(const struct urd_frame *frame, const struct urd_value *v,
                           struct urd_summary *ret)
{
    const struct urd_type *t = urd_debuginfo_type_strip(v->type);
    memset(ret, 0, sizeof *ret);
    if (t->kind != URD_TYPE_STRUCT || !t->name || !t->die)
        return false;
    const char *name = urd_debuginfo_type_qualified(t);
    bool has = false;
    name = name ? name : t->name;
    if (starts(name, "std::"))
        has = of_cpp(frame, v, name + 5, ret);
    else if (!strcmp(name, "&str") || !strcmp(name, "&mut str"))
        has = rust_slice(frame, v, true, ret);
    else if (starts(name, "&[") || starts(name, "&mut ["))
        has = rust_slice(frame, v, false, ret);
    else if (starts(name, "alloc::vec::Vec<"))
        has = rust_vec(frame, v, false, ret);
    else if (!strcmp(name, "alloc::string::String"))
        has = rust_string(frame, v, ret);
    else if (is_go(t) && !strcmp(name, "string"))
        has = go_string(frame, v, ret);
    else if (is_go(t) && starts(name, "[]"))
        has = go_slice(frame, v, ret);
    return has && (ret->kind != URD_SUMMARY_STRING || is_readable(frame, ret));
}

void urd_debuginfo_summary_array(const struct urd_summary *s, struct urd_value *ret)
{
    urd_debuginfo_value_at(urd_debuginfo_type_array_of(NULL, s->type, s->count), s->first, ret);
}

bool urd_debuginfo_summary_next(const struct urd_frame *frame, struct urd_summary *s)
{
    if (s->given == s->count || !s->next(frame, s))
        return false;
    s->given++;
    return true;
}

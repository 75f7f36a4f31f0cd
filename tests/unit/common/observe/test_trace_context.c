#include <criterion/criterion.h>

#include "common/observe/trace_context.h"
#include "unit/leaks.h"

#define GOOD "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

Test(trace_context, a_valid_header_is_read_and_written_the_same)
{
    struct trace_context t;
    char text[TRACEPARENT_SIZE], trace_id[TRACE_ID_SIZE], span_id[SPAN_ID_SIZE];
    cr_assert(trace_context_parse(&t, GOOD));
    trace_context_format(&t, text);
    cr_assert_str_eq(text, GOOD);
    trace_id_format(&t, trace_id);
    cr_assert_str_eq(trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
    span_id_format(t.span_id, span_id);
    cr_assert_str_eq(span_id, "00f067aa0ba902b7");
    cr_assert_eq(t.flags, TRACE_SAMPLED);
}

Test(trace_context, what_the_standard_calls_invalid_is_refused_and_changes_nothing)
{
    static const char *const bad[] = {
        "",
        "00",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00F067AA0BA902B7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0A",
        "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e47360-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 ",
        " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",
        "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b.-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-.1",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct trace_context t = {.flags = 7};
        cr_assert_not(trace_context_parse(&t, bad[i]), "%s", bad[i]);
        cr_assert_eq(t.flags, 7);
    }
}

Test(trace_context, no_prefix_of_a_valid_header_is_one)
{
    struct trace_context t;
    for (size_t len = 0; len < sizeof GOOD - 1; len++) {
        char *cut = xstrndup(GOOD, len); /* on the heap, so that the sanitizer reports every access beyond its end */
        cr_assert_not(trace_context_parse(&t, cut));
        free(cut);
    }
    assert_no_leaks();
}

Test(trace_context, a_later_version_is_read_as_far_as_we_know_it_and_sent_on_as_ours)
{
    static const char *const later[] = {
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "fe-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes-then",
        "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
    };
    for (size_t i = 0; i < ARRAY_SIZE(later); i++) {
        struct trace_context t;
        char text[TRACEPARENT_SIZE];
        cr_assert(trace_context_parse(&t, later[i]), "%s", later[i]);
        trace_context_format(&t, text);
        cr_assert_str_eq(text, GOOD);
    }
}

Test(trace_context, flags_nobody_knows_are_not_sent_on)
{
    struct trace_context t;
    char text[TRACEPARENT_SIZE];
    cr_assert(trace_context_parse(&t, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff"));
    trace_context_format(&t, text);
    cr_assert_str_eq(text + 53, "03");
}

static bool is_sampled(const struct trace_context *t)
{
    return t->flags & TRACE_SAMPLED;
}

Test(trace_context, a_child_is_in_its_parents_trace_with_an_id_of_its_own)
{
    struct trace_random random = {{1, 2, 3, 4}};
    struct trace_sampler sampler = {.follows_parent = true, .ratio = 0};
    struct trace_context parent, child, next;
    cr_assert(trace_context_parse(&parent, GOOD));
    trace_context_child(&child, &parent, &sampler, &random);
    trace_context_inner(&next, &child, &random);
    cr_assert_eq(memcmp(child.trace_id, parent.trace_id, 16), 0);
    cr_assert_eq(memcmp(next.trace_id, parent.trace_id, 16), 0);
    cr_assert_neq(memcmp(child.span_id, parent.span_id, 8), 0);
    cr_assert_neq(memcmp(child.span_id, next.span_id, 8), 0);
    cr_assert(is_sampled(&child) && is_sampled(&next));
    parent.flags = 0;
    sampler.ratio = 1;
    trace_context_child(&child, &parent, &sampler, &random);
    cr_assert_not(is_sampled(&child));
    sampler.follows_parent = false;
    trace_context_child(&child, &parent, &sampler, &random);
    cr_assert(is_sampled(&child));
}

Test(trace_context, a_ratio_of_new_traces_is_sampled_and_the_same_ones_everywhere)
{
    struct trace_random random = {{1, 2, 3, 4}};
    struct trace_sampler quarter = {.ratio = 0.25}, half = {.ratio = 0.5}, all = {.ratio = 1}, none = {.ratio = 0};
    int sampled = 0;
    for (int i = 0; i < 10000; i++) {
        struct trace_context t, again;
        trace_context_child(&t, NULL, &quarter, &random);
        cr_assert(t.flags & TRACE_RANDOM);
        sampled += is_sampled(&t);
        trace_context_child(&again, &t, &quarter, &random);
        cr_assert_eq(is_sampled(&again), is_sampled(&t));
        trace_context_child(&again, &t, &half, &random);
        if (is_sampled(&t)) cr_assert(is_sampled(&again));
        trace_context_child(&again, &t, &all, &random);
        cr_assert(is_sampled(&again));
        trace_context_child(&again, &t, &none, &random);
        cr_assert_not(is_sampled(&again));
    }
    cr_assert(sampled > 2200 && sampled < 2800, "%d of 10000", sampled);
}

Test(trace_context, the_bound_of_the_ratio_is_that_of_other_implementations)
{
    struct trace_random random = {{1, 2, 3, 4}};
    struct trace_sampler half = {.ratio = 0.5};
    struct trace_context below, above, child;
    cr_assert(trace_context_parse(&below, "00-ffffffffffffffff7fffffffffffffff-00f067aa0ba902b7-00"));
    cr_assert(trace_context_parse(&above, "00-00000000000000008000000000000000-00f067aa0ba902b7-01"));
    trace_context_child(&child, &below, &half, &random);
    cr_assert(is_sampled(&child));
    trace_context_child(&child, &above, &half, &random);
    cr_assert_not(is_sampled(&child));
}

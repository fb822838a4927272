/* SPDX-License-Identifier: MIT
 *
 * text.c - label values of what nginx has: strings with a NUL behind them, and well-formed UTF-8,
 * which what clients send need not be.
 */
#include "ngx_http_smx.h"

/* The bytes of the well-formed sequence at the start, 0 if there is none. Reads no further than the
 * first byte that does not belong, and so not beyond the NUL. */
static size_t sequence(const u_char *at)
{
    u_char c = at[0];
    size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    for (size_t i = 1; i < n; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    int overlong = (c == 0xe0 && at[1] < 0xa0) || (c == 0xf0 && at[1] < 0x90);
    int surrogate = c == 0xed && at[1] > 0x9f;
    int too_high = c == 0xf4 && at[1] > 0x8f;
    return overlong || surrogate || too_high ? 0 : n;
}

char *ngx_http_smx_clean(u_char *text)
{
    for (u_char *p = text; *p;) {
        size_t n = sequence(p);
        if (n == 0)
            *p = '?';
        p += n ? n : 1;
    }
    return (char *)text;
}

char *ngx_http_smx_text(ngx_pool_t *pool, const char *prefix, const ngx_str_t *text)
{
    size_t length = strlen(prefix);
    u_char *at = ngx_pnalloc(pool, length + text->len + 1);
    if (!at)
        return NULL;
    u_char *end = ngx_cpymem(at, prefix, length);
    *ngx_cpymem(end, text->data, text->len) = '\0';
    return ngx_http_smx_clean(at);
}

#include "common/observe/terminal_text.h"

/* Returns the length of the control character at the beginning of the text; 0: there is none. The control characters
 * from U+0080 on have two bytes in UTF-8. */
static size_t control_length(const unsigned char *at, size_t len)
{
    if (len > 1 && at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0) return 2;
    return at[0] == 0x7f || (at[0] < ' ' && at[0] != '\t' && at[0] != '\n') ? 1 : 0;
}

void terminal_text_add(struct buf *b, const char *text, size_t len)
{
    for (size_t i = 0, n; i < len; i += n ? n : 1) {
        n = control_length((const unsigned char *)text + i, len - i);
        if (n)
            buf_addf(b, "\\x%02x", (unsigned char)text[i + n - 1]);
        else
            buf_add_char(b, text[i]);
    }
}

/* SPDX-License-Identifier: MIT
 *
 * text.c - the words of libshm: error texts, names of reasons, the version. Constant data only.
 */
#include <smx/health.h>
#include <smx/reader.h>
#include <smx/smx.h>

#include <errno.h>

const char *smx_version(void)
{
    return SMX_VERSION;
}

const char *smx_lost_name(unsigned reason)
{
    static const char *const names[SMX_LOST_COUNT] = {
        [SMX_LOST_SERIES_CAP] = "series_cap", [SMX_LOST_SPACE] = "space",
        [SMX_LOST_CONFLICT] = "conflict",     [SMX_LOST_INVALID] = "invalid",
        [SMX_LOST_NEGATIVE] = "negative",     [SMX_LOST_SLOTS] = "slots",
        [SMX_LOST_GAUGE] = "gauge",           [SMX_LOST_DAMAGED] = "damaged",
    };
    return reason < SMX_LOST_COUNT ? names[reason] : NULL;
}

const char *smx_unsound_name(unsigned reason)
{
    static const char *const names[SMX_UNSOUND_COUNT] = {
        [SMX_UNSOUND_CHAIN] = "chain",       [SMX_UNSOUND_RECORD] = "record",
        [SMX_UNSOUND_OVERSIZE] = "oversize", [SMX_UNSOUND_FAMILY] = "family",
        [SMX_UNSOUND_TEXT] = "text",         [SMX_UNSOUND_BUCKETS] = "buckets",
        [SMX_UNSOUND_ORPHAN] = "orphan",     [SMX_UNSOUND_DUPLICATE] = "duplicate",
        [SMX_UNSOUND_CELL] = "cell",         [SMX_UNSOUND_OVERLAP] = "overlap",
        [SMX_UNSOUND_CONSTANT] = "constant", [SMX_UNSOUND_PROCESS] = "process",
        [SMX_UNSOUND_EXEMPLAR] = "exemplar", [SMX_UNSOUND_CHECK] = "check",
    };
    return reason < SMX_UNSOUND_COUNT ? names[reason] : NULL;
}

const char *smx_check_state_name(unsigned state)
{
    static const char *const names[] = {"silent", "ok", "degraded", "failed"};
    return state < sizeof names / sizeof names[0] ? names[state] : NULL;
}

/* strerror() is neither safe in signal handlers nor the same in every locale. */
const char *smx_strerror(int code)
{
    switch (code < 0 ? -code : code) {
    case 0:
        return "no error";
    case EINVAL:
        return "invalid argument";
    case ENOENT:
        return "no such file, directory or series";
    case EPERM:
        return "owner or mode not accepted";
    case EACCES:
        return "permission denied";
    case ENOSPC:
        return "no space left, on the file system or in the segment's budget";
    case ENOMEM:
        return "out of memory or address space";
    case EFBIG:
        return "the file size limit (RLIMIT_FSIZE) is too small for a segment";
    case EPROTO:
        return "not a segment, or a damaged one";
    case EBADMSG:
        return "a segment whose header is damaged";
    case EPROTONOSUPPORT:
        return "a segment of another major version";
    case EBUSY:
        return "other processes were opening the segment for too long";
    case EMFILE:
    case ENFILE:
        return "too many open files";
    case EEXIST:
        return "registered before with another description";
    case ELOOP:
        return "a symbolic link, which is not followed";
    case EIO:
        return "input/output error, or a file that was truncated";
    case EROFS:
        return "read-only file system";
    case ENAMETOOLONG:
        return "name too long";
    default:
        return "system error";
    }
}

/* SPDX-License-Identifier: MIT
 *
 * labels.hpp - families whose label sets the compiler checks, statesets of an enumeration, and
 * infos. Included by <smx/smx.hpp>, whose head is the introduction.
 */
#ifndef SMX_LABELS_HPP
#define SMX_LABELS_HPP

#include <smx/segment.hpp>
#include <smx/series.hpp>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <string_view>
#include <type_traits>

namespace smx
{

/* The texts of an enumeration's values, which count from 0, as labels or states: specialize it with
 * an array `names`, as the head of smx.hpp does. */
template <typename Enum> struct label_values;

namespace detail
{

template <typename T>
inline constexpr bool is_number = std::is_integral_v<T> && sizeof(T) <= sizeof(std::uint64_t) &&
                                  !std::is_same_v<T, bool> && !std::is_same_v<T, char> &&
                                  !std::is_same_v<T, wchar_t> && !std::is_same_v<T, char16_t> &&
                                  !std::is_same_v<T, char32_t>;

template <typename Enum>
inline constexpr std::size_t size_of = std::size(label_values<Enum>::names);

template <typename Enum> constexpr std::size_t index_of(Enum value) noexcept
{
    return static_cast<std::size_t>(static_cast<std::underlying_type_t<Enum>>(value));
}

/* A label's value as a string, for the time of a lookup. NULL, which a lookup refuses and counts,
 * for what cannot be one. */
template <typename Label, typename = void> class rendered
{
    static_assert(!sizeof(Label), "smx: a label is an enumeration with label_values, an integer "
                                  "(not bool, char or __int128), std::string_view, or const "
                                  "char *");
};

template <> class rendered<const char *>
{
  public:
    explicit rendered(const char *value) noexcept : value_(value)
    {
    }
    const char *get() const noexcept
    {
        return value_;
    }

  private:
    const char *value_;
};

template <typename Enum> class rendered<Enum, std::enable_if_t<std::is_enum_v<Enum>>>
{
  public:
    explicit rendered(Enum value) noexcept : value_(value)
    {
    }
    const char *get() const noexcept
    {
        /* Qualified: the enumeration's namespace may have an index_of() of its own. */
        const std::size_t index = detail::index_of(value_);
        return index < size_of<Enum> ? label_values<Enum>::names[index] : nullptr;
    }

  private:
    Enum value_;
};

/* Up to seven digits are stored at once: a lookup reads words, and would wait for single bytes. */
template <typename Integer> class rendered<Integer, std::enable_if_t<is_number<Integer>>>
{
  public:
    explicit rendered(Integer value) noexcept
    {
        if (value >= 0 && static_cast<std::uint64_t>(value) < 10000000) {
            std::uint64_t word = 0;
            auto rest = static_cast<std::uint32_t>(value);
            do {
                word = word << 8 | ('0' + rest % 10);
            } while ((rest /= 10) != 0);
            std::memcpy(text_, &word, sizeof word);
        } else {
            *std::to_chars(text_, text_ + sizeof text_ - 1, value).ptr = 0;
        }
    }
    const char *get() const noexcept
    {
        return text_;
    }

  private:
    char text_[24]; /* the sign and 20 digits of 64 bits */
};
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);

/* Copy a string and its NUL, by words, up to 7 bytes too many. False if there is a NUL in it. */
inline bool copy_words(char *to, std::string_view from) noexcept
{
    constexpr std::uint64_t ones = 0x0101010101010101;
    std::uint64_t word;
    std::uint64_t zeros = 0;
    for (; from.size() >= sizeof word; from.remove_prefix(sizeof word), to += sizeof word) {
        std::memcpy(&word, from.data(), sizeof word);
        std::memcpy(to, &word, sizeof word);
        zeros |= (word - ones) & ~word & ones << 7;
    }
    word = 0;
    for (std::size_t i = from.size(); i-- > 0;) {
        word = word << 8 | static_cast<unsigned char>(from[i]);
        zeros |= from[i] == 0;
    }
    std::memcpy(to, &word, sizeof word);
    return zeros == 0;
}

/* A copy, for the NUL at its end. */
template <> class rendered<std::string_view>
{
  public:
    explicit rendered(std::string_view value) noexcept
    {
        if (value.size() >= sizeof room_)
            text_ = long_ = static_cast<char *>(std::malloc(value.size() + sizeof(std::uint64_t)));
        if (text_ && !copy_words(text_, value))
            text_ = nullptr;
    }
    rendered(const rendered &) = delete;
    rendered &operator=(const rendered &) = delete;
    ~rendered()
    {
        if (long_)
            std::free(long_);
    }
    const char *get() const noexcept
    {
        return text_;
    }

  private:
    char room_[128];
    char *text_ = room_;
    char *long_ = nullptr;
};

} // namespace detail

/* A family with labels: the type of its series, and that of each label. A label is an enumeration
 * with label_values, an integer, a std::string_view or a NUL-terminated const char *. The compiler
 * checks the number of names and of values, and the values' types. Values are rendered on the
 * stack; what takes memory is a std::string_view of 128 bytes or more, and nothing else. A value
 * that is not one of its enumeration's, or has a NUL in it, is refused and counted, never cut. */
template <typename Series, typename... Labels> class family
{
    static_assert(sizeof...(Labels) >= 1 && sizeof...(Labels) <= SMX_LABELS_MAX,
                  "smx: a family has 1 to 16 labels; without, use its type itself");

  public:
    family() noexcept = default;
    template <std::size_t N>
    family(const segment &in, const metric &what, const char *const (&names)[N],
           diag *why = nullptr) noexcept
    {
        static_assert(N == sizeof...(Labels), "smx: as many names as the family has labels");
        smx_metric description = what.get();
        for (std::size_t i = 0; i < N && i < SMX_LABELS_MAX; i++)
            description.labels[i] = names[i];
        handle_ = Series::declare(in, description, why);
    }

    /* Find the series of these values, or create it. Lock-free. */
    Series with(Labels... values) const noexcept
    {
        return find(detail::rendered<Labels>(values)...);
    }
    /* Hide it from readers until it is asked for again. Returns: whether there was one. */
    bool remove(Labels... values) const noexcept
    {
        return remove_found(detail::rendered<Labels>(values)...);
    }
    explicit operator bool() const noexcept
    {
        return handle_.record != nullptr;
    }
    smx_family get() const noexcept
    {
        return handle_;
    }

  private:
    template <typename... Rendered> Series find(const Rendered &...values) const noexcept
    {
        const char *const strings[] = {values.get()..., nullptr};
        return Series(Series::find(handle_, strings));
    }
    template <typename... Rendered> bool remove_found(const Rendered &...values) const noexcept
    {
        const char *const strings[] = {values.get()..., nullptr};
        return smx_series_remove(handle_, strings) == 0;
    }

    smx_family handle_{};
};

/* A family whose labels are enumerations, and whose series are all made when it is: finding one is
 * an index into an array of handles, and each is exposed from the beginning, as 0. What there was
 * no room for then stays without, or with the overflow series. */
template <typename Series, typename... Enums> class table
{
    static constexpr std::size_t size = (std::size_t{1} * ... * detail::size_of<Enums>);

  public:
    table() noexcept = default;
    template <std::size_t N>
    table(const segment &in, const metric &what, const char *const (&names)[N],
          diag *why = nullptr) noexcept
    {
        const smx_family handle = family<Series, Enums...>(in, what, names, why).get();
        constexpr std::size_t sizes[] = {detail::size_of<Enums>...};
        const char *const *const texts[] = {std::data(label_values<Enums>::names)...};
        for (std::size_t i = 0; i < size; i++) {
            const char *values[sizeof...(Enums) + 1] = {};
            std::size_t rest = i;
            for (std::size_t n = sizeof...(Enums); n-- > 0; rest /= sizes[n])
                values[n] = texts[n][rest % sizes[n]];
            series_[i] = Series(Series::find(handle, values));
        }
    }

    /* What is not a value of its enumeration has a series that goes nowhere. */
    Series with(Enums... values) const noexcept
    {
        std::size_t at = 0;
        const bool known = ((detail::index_of(values) < detail::size_of<Enums>)&&...);
        ((at = at * detail::size_of<Enums> + detail::index_of(values)), ...);
        return known ? series_[at] : Series();
    }

  private:
    Series series_[size];
};

namespace detail
{

/* A stateset's description is that of its enumeration. */
template <typename Enum> using state_names = const char * [size_of<Enum> + 1];

template <typename Enum>
smx_metric with_states(const smx_metric &what, state_names<Enum> &names) noexcept
{
    std::copy(std::begin(label_values<Enum>::names), std::end(label_values<Enum>::names), names);
    names[size_of<Enum>] = nullptr;
    smx_metric copy = what;
    copy.states = names;
    return copy;
}

template <typename Enum>
smx_family declare_states(smx_segment *in, const smx_metric *what, smx_diag *why) noexcept
{
    state_names<Enum> names;
    const smx_metric described = with_states<Enum>(*what, names);
    return smx_stateset_family(in, &described, why);
}

template <typename Enum>
smx_stateset new_states(smx_segment *in, const smx_metric *what, smx_diag *why) noexcept
{
    state_names<Enum> names;
    const smx_metric described = with_states<Enum>(*what, names);
    return smx_stateset_new(in, &described, why);
}

template <typename Enum>
using stateset_series =
    series<smx_stateset, new_states<Enum>, declare_states<Enum>, smx_stateset_with>;

} // namespace detail

/* Which of an enumeration's values hold, by the names of its label_values. */
template <typename Enum> class stateset : public detail::stateset_series<Enum>
{
    static_assert(detail::size_of<Enum> <= SMX_STATES_MAX, "smx: a stateset has up to 64 states");

  public:
    using series = detail::stateset_series<Enum>;
    using series::series;

    /* Be in one state, and in no other. */
    void enter(Enum state) const noexcept
    {
        set(state);
    }
    /* Be in these states, none or several, and in no others: one store. */
    template <typename... Enums> void set(Enums... states) const noexcept
    {
        static_assert((std::is_same_v<Enums, Enum> && ...), "smx: a state of another stateset");
        smx_stateset_set(this->get(), (std::uint64_t{0} | ... | bit(states)));
    }
    bool is(Enum state) const noexcept
    {
        return (smx_stateset_value(this->get()) & bit(state)) != 0;
    }

  private:
    static std::uint64_t bit(Enum state) noexcept
    {
        const std::size_t index = detail::index_of(state);
        return index < detail::size_of<Enum> ? std::uint64_t{1} << index : 0;
    }
};

struct label {
    const char *name;
    const char *value;
};

/* What does not change; see smx_info().
 *
 *       smx::info build(segment, {"build", "What runs."}, {{"version", "1.4.2"}});
 */
class info
{
  public:
    info() noexcept = default;
    template <std::size_t N>
    info(const segment &in, const metric &what, const label (&labels)[N],
         diag *why = nullptr) noexcept
    {
        static_assert(N <= SMX_LABELS_MAX, "smx: a family has up to 16 labels");
        smx_metric description = what.get();
        const char *values[N + 1] = {};
        for (std::size_t i = 0; i < N; i++) {
            description.labels[i] = labels[i].name;
            values[i] = labels[i].value;
        }
        handle_ = smx_info(in.get(), &description, values, detail::kept(why));
    }
    smx_family get() const noexcept
    {
        return handle_;
    }

  private:
    smx_family handle_{};
};

} // namespace smx

#endif

/* SPDX-License-Identifier: MIT
 *
 * peer.c - addresses as numbers that can be compared.
 */
#include "agent/http/peer.h"

#include <netinet/in.h>
#include <string.h>

/* An IPv6 network gives each of its hosts 2^64 addresses: only the network counts. Connections in
 * the file system have no address, which counts as one, too. */
static uint64_t address_of(const struct sockaddr *address)
{
    uint64_t key = 0;
    uint32_t ipv4 = 0;
    if (address->sa_family == AF_INET) {
        ipv4 = ((const struct sockaddr_in *)address)->sin_addr.s_addr;
    } else if (address->sa_family == AF_INET6) {
        const struct in6_addr *ipv6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
        memcpy(&key, ipv6, sizeof key);
        if (IN6_IS_ADDR_V4MAPPED(ipv6))
            memcpy(&ipv4, &ipv6->s6_addr[12], sizeof ipv4);
    }
    return ipv4 ? UINT64_MAX - ipv4 : key;
}

static bool is_local(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
    if (address->sa_family != AF_INET6)
        return true;
    const struct in6_addr *ipv6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(ipv6) || (IN6_IS_ADDR_V4MAPPED(ipv6) && ipv6->s6_addr[12] == 127);
}

struct peer peer_of(const struct sockaddr *address, enum listen_scope scope)
{
    return (struct peer){
        .scope = scope, .address = address_of(address), .local = is_local(address)};
}

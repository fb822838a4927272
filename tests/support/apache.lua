-- SPDX-License-Identifier: MIT
--
-- apache.lua - wrk's requests of 70-apache.bats: two virtual hosts, methods, of which one is unknown,
-- statuses, handlers, bodies, in turn. No HEAD: wrk would wait for its body.
local turn = 0
local requests = {}

local function add(host, method, path, body)
    local headers = { Host = host }
    table.insert(requests, { method, path, headers, body })
end

function init()
    for _, host in ipairs({ "first.test", "second.test", "nobody.test" }) do
        add(host, "GET", "/index.html")
        add(host, "GET", "/missing")
        add(host, "GET", "/big.txt")
        add(host, "GET", "/forbidden")
        add(host, "GET", "/moved")
        add(host, "GET", "/inner")
        add(host, "POST", "/index.html", string.rep("x", 3000))
        add(host, "GET", "/status?auto")
        add(host, "OPTIONS", "/")
        add(host, "BREW", "/index.html")
    end
end

function request()
    turn = turn % #requests + 1
    local r = requests[turn]
    return wrk.format(r[1], r[2], r[3], r[4])
end

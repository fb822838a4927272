#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 00-tidy-agent.bats - clang-tidy has nothing to say of any source of the agent.

load support/tidy

@test "clang-tidy finds nothing in the agent" {
    run analyze '^agent/'
    echo "$output"
    [[ $status -eq 0 ]]
}

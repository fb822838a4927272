#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""image.py - does what a container engine does with a Dockerfile, as far as a chroot goes.

  image.py packages DOCKERFILE           the packages that it installs
  image.py build DOCKERFILE CONTEXT BASE DIRECTORY
                                         build: BASE is a directory with what is FROM debian:...,
                                         and stays as it is; the last stage's tree is left in
                                         DIRECTORY/root, and what is to be known of it in
                                         DIRECTORY/config.json. Mounts, and leaves it to whoever
                                         runs it in a mount namespace to unmount

Knows FROM, RUN, COPY, ARG, ENV, EXPOSE, USER, HEALTHCHECK and ENTRYPOINT, in the forms that ours has,
and fails at all else.
"""
import json
import os
import re
import shlex
import shutil
import subprocess
import sys


def instructions(path):
    """(name, rest) of each, continued lines joined."""
    text = re.sub(r'^\s*#.*\n', '', open(path).read(), flags=re.M)
    for line in re.sub(r'\\\n\s*', '', text).splitlines():
        if line.strip():
            name, rest = line.split(None, 1)
            yield name, rest.strip()


def packages(path):
    for name, rest in instructions(path):
        found = re.search(r'apt-get install -y --no-install-recommends (.*?)&&', rest)
        if name == 'RUN' and found:
            return found.group(1).split()
    raise ValueError('no packages are installed')


class Build:
    def __init__(self, context, base, directory):
        self.context, self.base, self.directory = context, base, directory
        self.stages = {}
        self.place = None
        self.config = {}
        self.arguments = {}

    def ignored(self):
        path = os.path.join(self.context, 'packaging/container/Dockerfile.dockerignore')
        return [line for line in open(path).read().split('\n') if line and line[0] != '#']

    def do_from(self, rest):
        words = rest.split()
        self.place = os.path.join(self.directory, f'stage{len(self.stages)}')
        os.makedirs(self.place)
        self.stages[words[2] if len(words) == 3 else str(len(self.stages))] = self.place
        self.config, self.arguments = {'env': {}}, {}
        if words[0].startswith('debian:'):
            self.mount_base()
            shutil.copy('/etc/resolv.conf', self.place + '/etc/resolv.conf')
        elif words[0] != 'scratch':
            raise ValueError(f'FROM {rest}')

    def mount_base(self):
        """What is written above it is kept in memory."""
        memory = self.place + '.memory'
        os.makedirs(memory)
        subprocess.run(['mount', '-t', 'tmpfs', 'none', memory], check=True)
        os.mkdir(memory + '/over')
        os.mkdir(memory + '/work')
        subprocess.run(['mount', '-t', 'overlay', 'none', self.place, '-o',
                        f'lowerdir={self.base},upperdir={memory}/over,workdir={memory}/work'],
                       check=True)

    def do_run(self, rest):
        environment = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', **self.config['env'],
                       **self.arguments}
        script = ('mount --rbind /dev "$1/dev"; mount -t proc proc "$1/proc"; '
                  'exec env -i "${@:3}" chroot "$1" /bin/sh -c "$2"')
        subprocess.run(['unshare', '--mount', '--pid', '--fork', 'bash', '-ec', script, 'run',
                        self.place, rest, *(f'{k}={v}' for k, v in environment.items())], check=True)

    def do_copy(self, rest):
        words = rest.split()
        option = re.fullmatch('--from=(.*)', words[0])
        source = self.stages[option.group(1)] if option else self.context
        excluded = [] if option else [f'--exclude=./{name}' for name in self.ignored()]
        source = os.path.join(source, words[-2].lstrip('/'))
        target = self.place + words[-1]
        os.makedirs(target, exist_ok=True)
        with subprocess.Popen(['tar', '-C', source, *excluded, '-cf', '-', '.'],
                              stdout=subprocess.PIPE) as packed:
            subprocess.run(['tar', '-C', target, '-xpf', '-'], stdin=packed.stdout, check=True)

    def do_arg(self, rest):
        self.arguments.update([rest.split('=', 1)])

    def do_env(self, rest):
        self.config['env'].update(word.split('=', 1) for word in shlex.split(rest))

    def do_expose(self, rest):
        self.config['port'] = int(rest)

    def do_user(self, rest):
        self.config['user'], self.config['group'] = (int(word) for word in rest.split(':'))

    def do_healthcheck(self, rest):
        self.config['check_timeout'] = re.search(r'--timeout=(\d+s)', rest).group(1)
        self.config['check'] = json.loads(rest.split('CMD ', 1)[1])

    def do_entrypoint(self, rest):
        self.config['entrypoint'] = json.loads(rest)

    def finish(self):
        os.rename(self.place, self.directory + '/root')
        with open(self.directory + '/config.json', 'w') as out:
            json.dump(self.config, out)


def main():
    if sys.argv[1] == 'packages':
        print('\n'.join(packages(sys.argv[2])))
        return
    build = Build(*sys.argv[3:])
    for name, rest in instructions(sys.argv[2]):
        getattr(build, 'do_' + name.lower())(rest)
    build.finish()


main()

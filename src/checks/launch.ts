import { join } from 'node:path';
import type { CheckLimits } from './limits.ts';
import { MARKER_VARIABLE } from './run-processes.ts';

/**
 * How far a check is kept from the machine:
 * - `namespaces`: Linux lets us give it processes, mounts and a `/tmp` of its own. It sees no process but its own, writes
 *   nowhere but in its folder, does not see what is hidden, and none of it can outlive it.
 * - `none`: its processes are found by what they inherit, and it may read and write what our user may.
 */
export type Confinement = 'namespaces' | 'none';

/** The machine, as checks are started on it. */
export interface LaunchPad {
  /** Holds one folder for each check that runs. Real and absolute. */
  readonly root: string;
  /** `PATH` for checks that bring none. */
  readonly path: string;
  /** Folders and files that no check sees where it is confined. */
  readonly hidden: readonly string[];
  readonly confinement: Confinement;
}

/** Where a run's things lie, all of them in its folder. */
export interface RunPlaces {
  folder: string;
  checkout: string;
  home: string;
  /** Also `/tmp` and `/var/tmp`, where the check is confined. */
  temporary: string;
  secrets: string;
  result: string;
  /** A shell script that sets the environment and the limits. */
  start: string;
}

export function placesIn(folder: string): RunPlaces {
  return {
    folder,
    checkout: join(folder, 'checkout'),
    home: join(folder, 'home'),
    temporary: join(folder, 'tmp'),
    secrets: join(folder, 'secrets'),
    result: join(folder, 'result', 'result.sarif'),
    start: join(folder, 'start.sh'),
  };
}

const LIFELINE_FD = 3;

// Waits for the other end of the lifeline to close, which happens also when this process is killed, and then ends the
// whole process group.
const LIFELINE = `(cat <&${LIFELINE_FD} >/dev/null; kill -KILL 0) >/dev/null 2>&1 & exec "$@" ${LIFELINE_FD}<&-`;

// The first process of the check. It lives on when the group is asked to end, so that the others may take their time, and
// tells how the one that counts has ended. In a namespace its end is the end of all that is left there.
const FIRST = `trap : TERM; sh "$@"; exit $?`;

/**
 * Run as root of the new namespaces, which is no more than the user outside: it can hide and protect, not reach further.
 * Its own folder is kept at hand by a descriptor, since what lies above it may be hidden. `-c`: mount would turn that
 * into the path again. In the end a second namespace takes the rights over these mounts away, and gives the user's
 * number back.
 */
const CONFINE = `
set -e
run=$1 user=$2 group=$3 hidden=$4
shift 4
exec 9<"$run"
own=/proc/self/fd/9
for at in /tmp /var/tmp; do
  if [ -d $at ]; then mount -c --rbind $own/tmp $at; fi
done
if [ -d /dev/shm ]; then mount -t tmpfs -o size=64m,mode=1777 check /dev/shm; fi
while [ "$hidden" -gt 0 ]; do
  if [ -d "$1" ]; then mount -t tmpfs -o size=64k,mode=755 check "$1"
  elif [ -e "$1" ]; then mount -c --bind /dev/null "$1"; fi
  shift
  hidden=$((hidden - 1))
done
mkdir -p "$run"
mount -c --rbind $own "$run"
while read -r _ at _; do
  at=$(printf '%b' "$at")
  case $at in
    /proc | /proc/* | /dev | /dev/* | /tmp | /var/tmp | "$run") ;;
    *) mount -c -o remount,bind,ro "$at" 2>/dev/null || : ;;
  esac
done </proc/self/mounts
exec 9<&-
cd /
exec unshare --user --map-user="$user" --map-group="$group" -- "$@"
`;

const NAMESPACES = ['--user', '--map-root-user', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];

export interface Launch {
  program: string;
  args: string[];
  env: Record<string, string>;
}

/** What is to be started, as the leader of a process group, with a lifeline as its descriptor 3. */
export function launchOf(
  host: LaunchPad,
  { places, marker, argv }: { places: RunPlaces; marker: string; argv: readonly string[] },
): Launch {
  const first = ['sh', '-c', FIRST, 'first', places.start, ...argv];
  return {
    program: 'sh',
    args: ['-c', LIFELINE, 'check', ...(host.confinement === 'namespaces' ? confined(host, places, first) : first)],
    // Of the programs that bring the check up; what it gets itself stands in the script.
    env: { PATH: host.path, LANG: 'C.UTF-8', [MARKER_VARIABLE]: marker },
  };
}

function confined(host: LaunchPad, { folder }: RunPlaces, first: readonly string[]): string[] {
  const user = [process.getuid?.() ?? 0, process.getgid?.() ?? 0].map(String);
  const hidden = [host.root, ...host.hidden];
  const confine = ['sh', '-c', CONFINE, 'confine', folder, ...user, String(hidden.length), ...hidden];
  return ['unshare', ...NAMESPACES, '--', ...confine, ...first];
}

/**
 * The script by which a check starts: its environment stands in a file, not on a command line for all to see, and means
 * nothing yet to the programs that bring it up. Limits that the system does not know are left out.
 */
export function startScript(places: RunPlaces, { env, limits, marker, processLimit }: StartOptions): string {
  return [
    // The soft limit is meant, and must not be above the hard one, which is the marker.
    `ulimit -S -t ${limits.cpuSeconds} 2>/dev/null`,
    `ulimit -H -t ${marker} 2>/dev/null`,
    `ulimit -f ${Math.ceil(limits.fileBytes / 512)} 2>/dev/null`, // in blocks of 512 bytes
    // In KiB. Twice as much, for most programs ask for more than they use; what they use is watched.
    `ulimit -d ${Math.ceil((2 * limits.memoryBytes) / 1024)} 2>/dev/null`,
    `ulimit -n ${limits.openFiles} 2>/dev/null`,
    'ulimit -c 0 2>/dev/null',
    // A system without memory ends a check before it ends us.
    '{ echo 1000 >/proc/self/oom_score_adj; } 2>/dev/null',
    // dash calls it -p, all others -u.
    ...(processLimit ? [`ulimit -u ${limits.processes} 2>/dev/null || ulimit -p ${limits.processes} 2>/dev/null`] : []),
    `cd ${quoted(places.checkout)} || exit`,
    ...Object.entries(env).map(([name, value]) => `export ${name}=${quoted(value)}`),
    'exec "$@"',
    '',
  ].join('\n');
}

interface StartOptions {
  env: Readonly<Record<string, string>>;
  limits: CheckLimits;
  marker: string;
  /** Whether the kernel counts the processes of this check alone. */
  processLimit: boolean;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

"""The loop inside every sandbox, in plain ``sh``; ``channel`` is its other end.

It needs nothing else in the image: ``bash``, ``timeout`` and ``setsid`` are used where they are.
Per command it forks a watcher, which waits for the host's line or the end of the stream, and the
command; when the command is over (or the watcher says so) it kills all that is left in the PID
namespace, itself spared, and only then writes the marker, so nothing can come after it.

In a sandbox with walls it is the first process of its PID namespace: no signal from inside ends or
stops it, so `kill -9 -1` of an agent ends that command and nothing more.
"""

LAUNCH = 'b=$(command -v bash) && exec "$b" -c \'eval "$SWE_ROUTER_LOOP"\'; eval "$SWE_ROUTER_LOOP"'
"""What a sandbox starts by ``sh -c``: the loop's text stays out of the command line, where a
``pkill -f`` of the agent would find it."""

LOOP = r"""
unset SWE_ROUTER_LOOP
exec 3<&0 </dev/null
scope=${SWE_ROUTER_SCOPE:-group}; unset SWE_ROUTER_SCOPE
# kill -1 below is only for a PID namespace of our own, where the first shell has a low number.
if [ "$scope" = namespace ] && [ $$ -ge 64 ]; then echo "no PID namespace of its own"; exit 97; fi
cd /; umask 022
{ printf swe-box >/proc/$$/comm; } 2>/dev/null
if [ -f /opt/miniconda3/bin/activate ]; then
  . /opt/miniconda3/bin/activate
  conda activate testbed 2>/dev/null || :
fi
export LANG=C.UTF-8 TZ=UTC TERM=dumb PAGER=cat GIT_PAGER=cat GIT_EDITOR=: GIT_TERMINAL_PROMPT=0
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'
export PIP_NO_INPUT=1 DEBIAN_FRONTEND=noninteractive
LC_ALL=C
shell=sh; [ -n "${BASH_VERSION:-}" ] && shell=$BASH
timer=0; timeout -k 0.5 9.5 "$shell" -c : 2>/dev/null && timer=1
session=; [ "$scope" = namespace ] && command -v setsid >/dev/null && session=setsid
[ "$scope" = group ] && set -m
exec 2>/dev/null
trap early=1 HUP INT QUIT TERM ALRM USR2
trap cut=1 USR1

take() {
  IFS= read -r taken <&3
  case $taken in *[\\%]*) taken=$(printf "$taken."); taken=${taken%.} ;; esac
}
work() {
  trap - INT QUIT
  # Where memory runs out, a command is to go and not the loop.
  { printf 500 >/proc/self/oom_score_adj; } 2>/dev/null
  cd "$cwd" || { printf 'cannot enter %s: no such directory\n' "$cwd"; exit 1; }
  unset LC_ALL
  exec 3<&-
  set -- "$shell" -c "$command" "${shell##*/}" "$@"
  [ "$timer" = 1 ] && set -- timeout -k 5 "$secs" "$@"
  # No exec: this shell stands between, so that `kill -9 $PPID` never means the loop. Only the
  # command's stderr is shown: "Killed" from this shell would name a line of the loop.
  $session "$@" 2>&1
  exit $?
}
watch() {
  IFS= read -r line <&3
  while :; do kill -CONT $$; kill -USR1 $$; done
}
clear_group() { kill -9 -$pid; kill -9 -$watcher; wait; }
# Orphans of strangers come to the first process, and a shell without jobs waits for none of them:
# in waiting for a last job of its own it takes the others as well.
clear_namespace() {
  kill -9 -1; wait; tries=0
  while set -- /proc/[0-9]*; [ $# -gt "$alone" ] && [ $tries -lt 3000 ]; do
    kill -9 -1; : & wait; tries=$((tries + 1))
  done
}
alone=9999; pid=0
if [ "$scope" = namespace ]; then clear_namespace; set -- /proc/[0-9]*; alone=$#; fi
while IFS= read -r line <&3; do
  [ -n "$line" ] || continue
  set -- $line
  nonce=$1 secs=$2 more=$3
  take; cwd=$taken; take; command=$taken
  set --
  while [ "$more" -gt 0 ]; do
    IFS= read -r line <&3
    set -- "$@" "$line"; more=$((more - 1))
  done
  cut=0
  watch & watcher=$!
  work "$@" & pid=$!
  early=0; wait $pid; code=$?
  # A signal that the command sent here ends the wait early; only USR1 is meant to.
  if [ "$early$cut" = 10 ] && [ $code -gt 128 ]; then
    wait $pid; again=$?; [ $again = 127 ] || code=$again
  fi
  clear_$scope
  printf '%s %s %s %s\n' "$nonce" "$code" "$cut" "$timer"
done
[ "$scope" = namespace ] && kill -9 -1
exit 0
"""

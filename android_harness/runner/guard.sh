# Runs on the phone, over adb, as `sh -c GUARD PLACE RUN`.
#
# Makes a folder of its own in PLACE, prints its name, runs RUN in it and writes RUN's exit code to the file
# `code`. When standard input ends, which it does when the host is done, when the host's process dies and when
# the cable is pulled, it kills RUN and removes the folder.
trap '' HUP PIPE
place=$0 run=$1
mkdir -p "$place" && cd "$place" || exit 1
for old in *; do
  # A folder is called by its guard's process. Without a guard the phone was switched off under it.
  tr '\0' ' ' 2>/dev/null < "/proc/$old/cmdline" | grep -q "$place" || rm -rf "$old"
done
export folder="$place/$$"
rm -rf "$folder"
mkdir -p "$folder/job/in" "$folder/job/out" && cd "$folder" || exit 1
echo "$folder"
(
  sh -c "echo \$\$ > pid; $run" </dev/null >log 2>&1
  echo $? > code.tmp && mv code.tmp code
) &
cat >/dev/null
[ -e code ] || kill -9 "$(cat pid)"
wait
cd / && rm -rf "$folder"
rmdir "$place" 2>/dev/null

# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_sway_global_optspecs
    string join \n threads= h/help V/version
end

function __fish_sway_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_sway_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_sway_using_subcommand
    set -l cmd (__fish_sway_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c sway -n "__fish_sway_needs_command" -l threads -d 'Threads to compute with; as many as the machine has by default. No number depends on it' -r
complete -c sway -n "__fish_sway_needs_command" -s h -l help -d 'Print help'
complete -c sway -n "__fish_sway_needs_command" -s V -l version -d 'Print version'
complete -c sway -n "__fish_sway_needs_command" -f -a "run" -d 'Run a suite of probes, and say pass, fail, or can\'t tell'
complete -c sway -n "__fish_sway_needs_command" -f -a "merge" -d 'Make one record of those that `sway run --shard` wrote (this very build), and say pass, fail, or can\'t tell'
complete -c sway -n "__fish_sway_needs_command" -f -a "score" -d 'Answer requests (JSONL in, JSONL out)'
complete -c sway -n "__fish_sway_needs_command" -f -a "serve" -d 'Keep models warm, and answer over HTTP'
complete -c sway -n "__fish_sway_needs_command" -f -a "history" -d 'List the runs that were recorded'
complete -c sway -n "__fish_sway_needs_command" -f -a "show" -d 'Show a run that was recorded, or what was written for one of its cases'
complete -c sway -n "__fish_sway_needs_command" -f -a "cache" -d 'Look after the answers that are kept from run to run'
complete -c sway -n "__fish_sway_needs_command" -f -a "trace" -d 'Summarise a trace that `--trace` wrote'
complete -c sway -n "__fish_sway_needs_command" -f -a "inspect" -d 'Tell what an adapter holds, or changes of its base, module by module, without a forward pass'
complete -c sway -n "__fish_sway_needs_command" -f -a "doctor" -d 'Look at this machine: build, CPU, memory, cache and hub, and tell what to do where something is bad'
complete -c sway -n "__fish_sway_needs_command" -f -a "verify-merge" -d 'Tell whether a merged checkpoint answers as its base with the adapter does, within the rounding of its dtype'
complete -c sway -n "__fish_sway_needs_command" -f -a "list-probes" -d 'List the kinds of probes'
complete -c sway -n "__fish_sway_needs_command" -f -a "list-models" -d 'List the models and adapters that are read'
complete -c sway -n "__fish_sway_needs_command" -f -a "completions" -d 'Print the completions of a shell'
complete -c sway -n "__fish_sway_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sway -n "__fish_sway_using_subcommand run" -l base -d 'Probe this base instead of the suite\'s: a folder, or a hub id' -r
complete -c sway -n "__fish_sway_using_subcommand run" -l adapter -d 'Probe this adapter instead of the suite\'s: a folder, or a hub id' -r
complete -c sway -n "__fish_sway_using_subcommand run" -l revision -d 'The base\'s revision on the hub' -r
complete -c sway -n "__fish_sway_using_subcommand run" -l adapter-revision -d 'The adapter\'s revision on the hub' -r
complete -c sway -n "__fish_sway_using_subcommand run" -l device -d 'Compute here instead of where the suite says: `cpu`, `cuda:0` (or another number), or `metal`' -r
complete -c sway -n "__fish_sway_using_subcommand run" -l format -d 'What goes to stdout' -r -f -a "human\t'A report to read'
jsonl\t'A line a probe, then a summary'
json\t'The record'"
complete -c sway -n "__fish_sway_using_subcommand run" -l json -d 'Write the record as JSON (`-` is stdout)' -r -F
complete -c sway -n "__fish_sway_using_subcommand run" -l jsonl -d 'Write a line a probe and a summary, as JSONL' -r -F
complete -c sway -n "__fish_sway_using_subcommand run" -l markdown -d 'Write a report for a pull request' -r -F
complete -c sway -n "__fish_sway_using_subcommand run" -l junit -d 'Write a report for CI, as `JUnit` XML' -r -F
complete -c sway -n "__fish_sway_using_subcommand run" -l html -d 'Write a page for a browser' -r -F
complete -c sway -n "__fish_sway_using_subcommand run" -l stats -d 'Write what the engine did, as JSON' -r -F
complete -c sway -n "__fish_sway_using_subcommand run" -l trace -d 'Write a line for every request that was answered' -r -F
complete -c sway -n "__fish_sway_using_subcommand run" -l events -d 'Tell of the run while it goes on, a JSON line an event: a file, `-` for stdout, or `redis://HOST/?channel=NAME` (may be given several times)' -r
complete -c sway -n "__fish_sway_using_subcommand run" -l stream-cache -d 'Keep what is fetched for the suite\'s sources in this folder' -r -F
complete -c sway -n "__fish_sway_using_subcommand run" -l stream-cache-bytes -d 'Most that may be kept there; what was used least lately goes (10 GiB)' -r
complete -c sway -n "__fish_sway_using_subcommand run" -l store -d 'Record the run, and keep answers, in this file; `SWAY_STORE`, or one in the user\'s data folder, where it is left out' -r -F
complete -c sway -n "__fish_sway_using_subcommand run" -l resume -d 'Go on with a run that failed or was interrupted: the last one (of SUITE), or this one. What is complete is not computed again' -r
complete -c sway -n "__fish_sway_using_subcommand run" -l checkpoint-every -d 'How often the run keeps how far it has come, to be resumed from there: a time, or so many items, such as 10000items, but never within a batch' -r
complete -c sway -n "__fish_sway_using_subcommand run" -l shard -d 'Ask about a part of the items only, such as 3/16, the third of 16 parts; exits with 0 when it is done. `sway merge` makes one record of all parts\' (`--json`), and has the verdict' -r
complete -c sway -n "__fish_sway_using_subcommand run" -l server -d 'Have a daemon answer, where models stay warm: `http://HOST:PORT`, or `unix:PATH`' -r
complete -c sway -n "__fish_sway_using_subcommand run" -l token-file -d 'The file with the daemon\'s token; `SWAY_TOKEN` where it is left out' -r -F
complete -c sway -n "__fish_sway_using_subcommand run" -l filter -d 'Run only the probes whose name contains this' -r
complete -c sway -n "__fish_sway_using_subcommand run" -l threads -d 'Threads to compute with; as many as the machine has by default. No number depends on it' -r
complete -c sway -n "__fish_sway_using_subcommand run" -l exit-zero -d 'Exit with 0 whatever the gate says'
complete -c sway -n "__fish_sway_using_subcommand run" -s q -l quiet -d 'Show no progress and no report'
complete -c sway -n "__fish_sway_using_subcommand run" -l no-store -d 'Record nothing, and keep no answer'
complete -c sway -n "__fish_sway_using_subcommand run" -l no-cache -d 'Have everything computed anew, and keep no answer for other runs'
complete -c sway -n "__fish_sway_using_subcommand run" -l refresh -d 'Have everything computed anew, and keep the answers in the place of those of before'
complete -c sway -n "__fish_sway_using_subcommand run" -l continue -d 'Go on with the last run of this very command that failed or was interrupted, or start one: for batch systems, which start a job again with the command that it had. A part goes on with this, too'
complete -c sway -n "__fish_sway_using_subcommand run" -l dry-run -d 'List what would run, without touching a model'
complete -c sway -n "__fish_sway_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sway -n "__fish_sway_using_subcommand merge" -l format -d 'What goes to stdout' -r -f -a "human\t'A report to read'
jsonl\t'A line a probe, then a summary'
json\t'The record'"
complete -c sway -n "__fish_sway_using_subcommand merge" -l json -d 'Write the record as JSON (`-` is stdout)' -r -F
complete -c sway -n "__fish_sway_using_subcommand merge" -l jsonl -d 'Write a line a probe and a summary, as JSONL' -r -F
complete -c sway -n "__fish_sway_using_subcommand merge" -l markdown -d 'Write a report for a pull request' -r -F
complete -c sway -n "__fish_sway_using_subcommand merge" -l junit -d 'Write a report for CI, as `JUnit` XML' -r -F
complete -c sway -n "__fish_sway_using_subcommand merge" -l html -d 'Write a page for a browser' -r -F
complete -c sway -n "__fish_sway_using_subcommand merge" -l stats -d 'Write what the engine did, as JSON' -r -F
complete -c sway -n "__fish_sway_using_subcommand merge" -l threads -d 'Threads to compute with; as many as the machine has by default. No number depends on it' -r
complete -c sway -n "__fish_sway_using_subcommand merge" -l exit-zero -d 'Exit with 0 whatever the gate says'
complete -c sway -n "__fish_sway_using_subcommand merge" -s q -l quiet -d 'Show no progress and no report'
complete -c sway -n "__fish_sway_using_subcommand merge" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sway -n "__fish_sway_using_subcommand score" -l base -d 'The base: a folder, or a hub id' -r
complete -c sway -n "__fish_sway_using_subcommand score" -l adapter -d 'The adapter: a folder, or a hub id' -r
complete -c sway -n "__fish_sway_using_subcommand score" -l revision -d 'The base\'s revision on the hub' -r
complete -c sway -n "__fish_sway_using_subcommand score" -l adapter-revision -d 'The adapter\'s revision on the hub' -r
complete -c sway -n "__fish_sway_using_subcommand score" -l dtype -d 'What products with weights are computed in; norms, attention and the adapter stay in float32' -r -f -a "f32\t'float32 weights, whatever the checkpoint\'s'
bf16\t'bfloat16 weights, float32 sums: half the bytes of float32 weights, and faster arithmetic only on CPUs that are fast at it'"
complete -c sway -n "__fish_sway_using_subcommand score" -l device -d 'Where it computes: `cpu`, `cuda:0` (or another number), or `metal`' -r
complete -c sway -n "__fish_sway_using_subcommand score" -l server -d 'Have a daemon answer, where models stay warm: `http://HOST:PORT`, or `unix:PATH`' -r
complete -c sway -n "__fish_sway_using_subcommand score" -l token-file -d 'The file with the daemon\'s token; `SWAY_TOKEN` where it is left out' -r -F
complete -c sway -n "__fish_sway_using_subcommand score" -l trace -d 'Write a line for every request that was answered' -r -F
complete -c sway -n "__fish_sway_using_subcommand score" -l stats -d 'Write what the engine did, as JSON' -r -F
complete -c sway -n "__fish_sway_using_subcommand score" -l threads -d 'Threads to compute with; as many as the machine has by default. No number depends on it' -r
complete -c sway -n "__fish_sway_using_subcommand score" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sway -n "__fish_sway_using_subcommand serve" -l listen -d 'Where to listen; with port 0 the system picks one. Another address than the loopback\'s needs a token' -r
complete -c sway -n "__fish_sway_using_subcommand serve" -l socket -d 'Listen on a socket in the file system instead, for its owner alone' -r -F
complete -c sway -n "__fish_sway_using_subcommand serve" -l token-file -d 'A file with a token that clients must show; `SWAY_TOKEN` where it is left out' -r -F
complete -c sway -n "__fish_sway_using_subcommand serve" -l allow -d 'Let requests name models and data under this folder (may be given several times)' -r -F
complete -c sway -n "__fish_sway_using_subcommand serve" -l preload -d 'Load the models of this suite before anybody asks (may be given several times)' -r -F
complete -c sway -n "__fish_sway_using_subcommand serve" -l max-models -d 'Models that stay warm; a base with two adapters is two, and in memory once' -r
complete -c sway -n "__fish_sway_using_subcommand serve" -l max-bytes -d 'Most that their weights may take, such as 40GB' -r
complete -c sway -n "__fish_sway_using_subcommand serve" -l idle-timeout -d 'Unload what nobody asked for in this time, such as 10m' -r
complete -c sway -n "__fish_sway_using_subcommand serve" -l max-open -d 'Requests that may be in progress; whoever comes beyond is told to come again [default: 256]' -r
complete -c sway -n "__fish_sway_using_subcommand serve" -l drain-time -d 'Once told to stop, finish what is in progress for so long at most [default: 30s]' -r
complete -c sway -n "__fish_sway_using_subcommand serve" -l max-connections -r
complete -c sway -n "__fish_sway_using_subcommand serve" -l head-time -r
complete -c sway -n "__fish_sway_using_subcommand serve" -l stall-time -r
complete -c sway -n "__fish_sway_using_subcommand serve" -l threads -d 'Threads to compute with; as many as the machine has by default. No number depends on it' -r
complete -c sway -n "__fish_sway_using_subcommand serve" -s q -l quiet -d 'Write no log to stderr'
complete -c sway -n "__fish_sway_using_subcommand serve" -s h -l help -d 'Print help'
complete -c sway -n "__fish_sway_using_subcommand history" -l limit -d 'How many runs to list, the last ones first' -r
complete -c sway -n "__fish_sway_using_subcommand history" -l store -d 'Record the run, and keep answers, in this file; `SWAY_STORE`, or one in the user\'s data folder, where it is left out' -r -F
complete -c sway -n "__fish_sway_using_subcommand history" -l format -d 'How to list them' -r -f -a "human\t''
json\t''"
complete -c sway -n "__fish_sway_using_subcommand history" -l threads -d 'Threads to compute with; as many as the machine has by default. No number depends on it' -r
complete -c sway -n "__fish_sway_using_subcommand history" -s h -l help -d 'Print help'
complete -c sway -n "__fish_sway_using_subcommand show" -l case -d 'Show what was written for this case, counted from 1, and its scores' -r
complete -c sway -n "__fish_sway_using_subcommand show" -l probe -d 'Only of this probe' -r
complete -c sway -n "__fish_sway_using_subcommand show" -l store -d 'Record the run, and keep answers, in this file; `SWAY_STORE`, or one in the user\'s data folder, where it is left out' -r -F
complete -c sway -n "__fish_sway_using_subcommand show" -l format -d 'How to show it' -r -f -a "human\t''
json\t''"
complete -c sway -n "__fish_sway_using_subcommand show" -l threads -d 'Threads to compute with; as many as the machine has by default. No number depends on it' -r
complete -c sway -n "__fish_sway_using_subcommand show" -s h -l help -d 'Print help'
complete -c sway -n "__fish_sway_using_subcommand cache; and not __fish_seen_subcommand_from stats prune clear help" -l threads -d 'Threads to compute with; as many as the machine has by default. No number depends on it' -r
complete -c sway -n "__fish_sway_using_subcommand cache; and not __fish_seen_subcommand_from stats prune clear help" -s h -l help -d 'Print help'
complete -c sway -n "__fish_sway_using_subcommand cache; and not __fish_seen_subcommand_from stats prune clear help" -f -a "stats" -d 'Tell what is kept'
complete -c sway -n "__fish_sway_using_subcommand cache; and not __fish_seen_subcommand_from stats prune clear help" -f -a "prune" -d 'Let go of answers that are old, or beyond what they may take, and give their space back'
complete -c sway -n "__fish_sway_using_subcommand cache; and not __fish_seen_subcommand_from stats prune clear help" -f -a "clear" -d 'Let go of all answers; runs stay'
complete -c sway -n "__fish_sway_using_subcommand cache; and not __fish_seen_subcommand_from stats prune clear help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sway -n "__fish_sway_using_subcommand cache; and __fish_seen_subcommand_from stats" -l store -d 'Record the run, and keep answers, in this file; `SWAY_STORE`, or one in the user\'s data folder, where it is left out' -r -F
complete -c sway -n "__fish_sway_using_subcommand cache; and __fish_seen_subcommand_from stats" -l format -d 'How to tell it' -r -f -a "human\t''
json\t''"
complete -c sway -n "__fish_sway_using_subcommand cache; and __fish_seen_subcommand_from stats" -l threads -d 'Threads to compute with; as many as the machine has by default. No number depends on it' -r
complete -c sway -n "__fish_sway_using_subcommand cache; and __fish_seen_subcommand_from stats" -s h -l help -d 'Print help'
complete -c sway -n "__fish_sway_using_subcommand cache; and __fish_seen_subcommand_from prune" -l older-than -d 'Answers that were made longer ago [default: 90 days]' -r
complete -c sway -n "__fish_sway_using_subcommand cache; and __fish_seen_subcommand_from prune" -l max-bytes -d 'Beyond so many bytes, those that were used least lately [default: 2GiB]' -r
complete -c sway -n "__fish_sway_using_subcommand cache; and __fish_seen_subcommand_from prune" -l store -d 'Record the run, and keep answers, in this file; `SWAY_STORE`, or one in the user\'s data folder, where it is left out' -r -F
complete -c sway -n "__fish_sway_using_subcommand cache; and __fish_seen_subcommand_from prune" -l threads -d 'Threads to compute with; as many as the machine has by default. No number depends on it' -r
complete -c sway -n "__fish_sway_using_subcommand cache; and __fish_seen_subcommand_from prune" -s h -l help -d 'Print help'
complete -c sway -n "__fish_sway_using_subcommand cache; and __fish_seen_subcommand_from clear" -l store -d 'Record the run, and keep answers, in this file; `SWAY_STORE`, or one in the user\'s data folder, where it is left out' -r -F
complete -c sway -n "__fish_sway_using_subcommand cache; and __fish_seen_subcommand_from clear" -l threads -d 'Threads to compute with; as many as the machine has by default. No number depends on it' -r
complete -c sway -n "__fish_sway_using_subcommand cache; and __fish_seen_subcommand_from clear" -s h -l help -d 'Print help'
complete -c sway -n "__fish_sway_using_subcommand cache; and __fish_seen_subcommand_from help" -f -a "stats" -d 'Tell what is kept'
complete -c sway -n "__fish_sway_using_subcommand cache; and __fish_seen_subcommand_from help" -f -a "prune" -d 'Let go of answers that are old, or beyond what they may take, and give their space back'
complete -c sway -n "__fish_sway_using_subcommand cache; and __fish_seen_subcommand_from help" -f -a "clear" -d 'Let go of all answers; runs stay'
complete -c sway -n "__fish_sway_using_subcommand cache; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sway -n "__fish_sway_using_subcommand trace" -l format -d 'How to show it' -r -f -a "human\t''
markdown\t''
json\t''"
complete -c sway -n "__fish_sway_using_subcommand trace" -l slowest -d 'How many of the slowest requests to list' -r
complete -c sway -n "__fish_sway_using_subcommand trace" -l threads -d 'Threads to compute with; as many as the machine has by default. No number depends on it' -r
complete -c sway -n "__fish_sway_using_subcommand trace" -s h -l help -d 'Print help'
complete -c sway -n "__fish_sway_using_subcommand inspect" -l base -d 'The base that it was trained on: a folder, or a hub id; where it is left out, the adapter\'s own files are read alone' -r
complete -c sway -n "__fish_sway_using_subcommand inspect" -l revision -d 'The base\'s revision on the hub' -r
complete -c sway -n "__fish_sway_using_subcommand inspect" -l adapter-revision -d 'The adapter\'s revision on the hub' -r
complete -c sway -n "__fish_sway_using_subcommand inspect" -l format -d 'How to tell it' -r -f -a "human\t''
json\t''"
complete -c sway -n "__fish_sway_using_subcommand inspect" -l threads -d 'Threads to compute with; as many as the machine has by default. No number depends on it' -r
complete -c sway -n "__fish_sway_using_subcommand inspect" -s h -l help -d 'Print help'
complete -c sway -n "__fish_sway_using_subcommand doctor" -l format -d 'How to tell it' -r -f -a "human\t''
json\t''"
complete -c sway -n "__fish_sway_using_subcommand doctor" -l threads -d 'Threads to compute with; as many as the machine has by default. No number depends on it' -r
complete -c sway -n "__fish_sway_using_subcommand doctor" -l offline -d 'Send nothing: neither the hub nor the token is tried out'
complete -c sway -n "__fish_sway_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c sway -n "__fish_sway_using_subcommand verify-merge" -l base -d 'The base: a folder, or a hub id' -r
complete -c sway -n "__fish_sway_using_subcommand verify-merge" -l adapter -d 'The adapter that was merged: a folder, or a hub id' -r
complete -c sway -n "__fish_sway_using_subcommand verify-merge" -l merged -d 'The merged checkpoint: a folder, or a hub id' -r
complete -c sway -n "__fish_sway_using_subcommand verify-merge" -l revision -d 'The base\'s revision on the hub' -r
complete -c sway -n "__fish_sway_using_subcommand verify-merge" -l adapter-revision -d 'The adapter\'s revision on the hub' -r
complete -c sway -n "__fish_sway_using_subcommand verify-merge" -l merged-revision -d 'The merged checkpoint\'s revision on the hub' -r
complete -c sway -n "__fish_sway_using_subcommand verify-merge" -l merged-in -d 'What the merge was computed in, where that is coarser than what it is stored in' -r -f -a "bf16\t''
f16\t''"
complete -c sway -n "__fish_sway_using_subcommand verify-merge" -l prompts -d 'Ask about the texts of this file: `.jsonl`, or `.txt` with one a line; sixteen of sway\'s own where it is left out' -r
complete -c sway -n "__fish_sway_using_subcommand verify-merge" -l field -d 'The field of a JSON row that holds the text; `prompt` where it is left out' -r
complete -c sway -n "__fish_sway_using_subcommand verify-merge" -l limit -d 'Take the first rows of the file only' -r
complete -c sway -n "__fish_sway_using_subcommand verify-merge" -l format -d 'How to tell it' -r -f -a "human\t''
json\t''"
complete -c sway -n "__fish_sway_using_subcommand verify-merge" -l threads -d 'Threads to compute with; as many as the machine has by default. No number depends on it' -r
complete -c sway -n "__fish_sway_using_subcommand verify-merge" -s h -l help -d 'Print help'
complete -c sway -n "__fish_sway_using_subcommand list-probes" -l format -d 'How to list them' -r -f -a "human\t''
json\t''"
complete -c sway -n "__fish_sway_using_subcommand list-probes" -l threads -d 'Threads to compute with; as many as the machine has by default. No number depends on it' -r
complete -c sway -n "__fish_sway_using_subcommand list-probes" -s h -l help -d 'Print help'
complete -c sway -n "__fish_sway_using_subcommand list-models" -l format -d 'How to list them' -r -f -a "human\t''
json\t''"
complete -c sway -n "__fish_sway_using_subcommand list-models" -l threads -d 'Threads to compute with; as many as the machine has by default. No number depends on it' -r
complete -c sway -n "__fish_sway_using_subcommand list-models" -s h -l help -d 'Print help'
complete -c sway -n "__fish_sway_using_subcommand completions" -l threads -d 'Threads to compute with; as many as the machine has by default. No number depends on it' -r
complete -c sway -n "__fish_sway_using_subcommand completions" -s h -l help -d 'Print help'
complete -c sway -n "__fish_sway_using_subcommand help; and not __fish_seen_subcommand_from run merge score serve history show cache trace inspect doctor verify-merge list-probes list-models completions help" -f -a "run" -d 'Run a suite of probes, and say pass, fail, or can\'t tell'
complete -c sway -n "__fish_sway_using_subcommand help; and not __fish_seen_subcommand_from run merge score serve history show cache trace inspect doctor verify-merge list-probes list-models completions help" -f -a "merge" -d 'Make one record of those that `sway run --shard` wrote (this very build), and say pass, fail, or can\'t tell'
complete -c sway -n "__fish_sway_using_subcommand help; and not __fish_seen_subcommand_from run merge score serve history show cache trace inspect doctor verify-merge list-probes list-models completions help" -f -a "score" -d 'Answer requests (JSONL in, JSONL out)'
complete -c sway -n "__fish_sway_using_subcommand help; and not __fish_seen_subcommand_from run merge score serve history show cache trace inspect doctor verify-merge list-probes list-models completions help" -f -a "serve" -d 'Keep models warm, and answer over HTTP'
complete -c sway -n "__fish_sway_using_subcommand help; and not __fish_seen_subcommand_from run merge score serve history show cache trace inspect doctor verify-merge list-probes list-models completions help" -f -a "history" -d 'List the runs that were recorded'
complete -c sway -n "__fish_sway_using_subcommand help; and not __fish_seen_subcommand_from run merge score serve history show cache trace inspect doctor verify-merge list-probes list-models completions help" -f -a "show" -d 'Show a run that was recorded, or what was written for one of its cases'
complete -c sway -n "__fish_sway_using_subcommand help; and not __fish_seen_subcommand_from run merge score serve history show cache trace inspect doctor verify-merge list-probes list-models completions help" -f -a "cache" -d 'Look after the answers that are kept from run to run'
complete -c sway -n "__fish_sway_using_subcommand help; and not __fish_seen_subcommand_from run merge score serve history show cache trace inspect doctor verify-merge list-probes list-models completions help" -f -a "trace" -d 'Summarise a trace that `--trace` wrote'
complete -c sway -n "__fish_sway_using_subcommand help; and not __fish_seen_subcommand_from run merge score serve history show cache trace inspect doctor verify-merge list-probes list-models completions help" -f -a "inspect" -d 'Tell what an adapter holds, or changes of its base, module by module, without a forward pass'
complete -c sway -n "__fish_sway_using_subcommand help; and not __fish_seen_subcommand_from run merge score serve history show cache trace inspect doctor verify-merge list-probes list-models completions help" -f -a "doctor" -d 'Look at this machine: build, CPU, memory, cache and hub, and tell what to do where something is bad'
complete -c sway -n "__fish_sway_using_subcommand help; and not __fish_seen_subcommand_from run merge score serve history show cache trace inspect doctor verify-merge list-probes list-models completions help" -f -a "verify-merge" -d 'Tell whether a merged checkpoint answers as its base with the adapter does, within the rounding of its dtype'
complete -c sway -n "__fish_sway_using_subcommand help; and not __fish_seen_subcommand_from run merge score serve history show cache trace inspect doctor verify-merge list-probes list-models completions help" -f -a "list-probes" -d 'List the kinds of probes'
complete -c sway -n "__fish_sway_using_subcommand help; and not __fish_seen_subcommand_from run merge score serve history show cache trace inspect doctor verify-merge list-probes list-models completions help" -f -a "list-models" -d 'List the models and adapters that are read'
complete -c sway -n "__fish_sway_using_subcommand help; and not __fish_seen_subcommand_from run merge score serve history show cache trace inspect doctor verify-merge list-probes list-models completions help" -f -a "completions" -d 'Print the completions of a shell'
complete -c sway -n "__fish_sway_using_subcommand help; and not __fish_seen_subcommand_from run merge score serve history show cache trace inspect doctor verify-merge list-probes list-models completions help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sway -n "__fish_sway_using_subcommand help; and __fish_seen_subcommand_from cache" -f -a "stats" -d 'Tell what is kept'
complete -c sway -n "__fish_sway_using_subcommand help; and __fish_seen_subcommand_from cache" -f -a "prune" -d 'Let go of answers that are old, or beyond what they may take, and give their space back'
complete -c sway -n "__fish_sway_using_subcommand help; and __fish_seen_subcommand_from cache" -f -a "clear" -d 'Let go of all answers; runs stay'

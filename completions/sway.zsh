#compdef sway

autoload -U is-at-least

_sway() {
    typeset -A opt_args
    typeset -a _arguments_options
    local ret=1

    if is-at-least 5.2; then
        _arguments_options=(-s -S -C)
    else
        _arguments_options=(-s -C)
    fi

    local context curcontext="$curcontext" state line
    _arguments "${_arguments_options[@]}" : \
'--threads=[Threads to compute with; as many as the machine has by default. No number depends on it]:N:_default' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
":: :_sway_commands" \
"*::: :->sway" \
&& ret=0
    case $state in
    (sway)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:sway-command-$line[1]:"
        case $line[1] in
            (run)
_arguments "${_arguments_options[@]}" : \
'--base=[Probe this base instead of the suite'\''s\: a folder, or a hub id]:DIR_OR_ID:_default' \
'--adapter=[Probe this adapter instead of the suite'\''s\: a folder, or a hub id]:DIR_OR_ID:_default' \
'--revision=[The base'\''s revision on the hub]:REVISION:_default' \
'--adapter-revision=[The adapter'\''s revision on the hub]:REVISION:_default' \
'--device=[Compute here instead of where the suite says\: \`cpu\`, \`cuda\:0\` (or another number), or \`metal\`]:DEVICE:_default' \
'--format=[What goes to stdout]:FORMAT:((human\:"A report to read"
jsonl\:"A line a probe, then a summary"
json\:"The record"))' \
'--json=[Write the record as JSON (\`-\` is stdout)]:FILE:_files' \
'--jsonl=[Write a line a probe and a summary, as JSONL]:FILE:_files' \
'--markdown=[Write a report for a pull request]:FILE:_files' \
'--junit=[Write a report for CI, as \`JUnit\` XML]:FILE:_files' \
'--html=[Write a page for a browser]:FILE:_files' \
'--stats=[Write what the engine did, as JSON]:FILE:_files' \
'--trace=[Write a line for every request that was answered]:FILE:_files' \
'*--events=[Tell of the run while it goes on, a JSON line an event\: a file, \`-\` for stdout, or \`redis\://HOST/?channel=NAME\` (may be given several times)]:TARGET:_default' \
'--stream-cache=[Keep what is fetched for the suite'\''s sources in this folder]:DIR:_files' \
'--stream-cache-bytes=[Most that may be kept there; what was used least lately goes (10 GiB)]:BYTES:_default' \
'--store=[Record the run, and keep answers, in this file; \`SWAY_STORE\`, or one in the user'\''s data folder, where it is left out]:FILE:_files' \
'(--no-store --no-cache --refresh --base --adapter --revision --adapter-revision --device --filter --server --dry-run)--resume=[Go on with a run that failed or was interrupted\: the last one (of SUITE), or this one. What is complete is not computed again]::RUN:_default' \
'--checkpoint-every=[How often the run keeps how far it has come, to be resumed from there\: a time, or so many items, such as 10000items, but never within a batch]:TIME:_default' \
'(--server --resume --jsonl --markdown --junit --html)--shard=[Ask about a part of the items only, such as 3/16, the third of 16 parts; exits with 0 when it is done. \`sway merge\` makes one record of all parts'\'' (\`--json\`), and has the verdict]:PART:_default' \
'--server=[Have a daemon answer, where models stay warm\: \`http\://HOST\:PORT\`, or \`unix\:PATH\`]:URL:_default' \
'--token-file=[The file with the daemon'\''s token; \`SWAY_TOKEN\` where it is left out]:FILE:_files' \
'--filter=[Run only the probes whose name contains this]:TEXT:_default' \
'--threads=[Threads to compute with; as many as the machine has by default. No number depends on it]:N:_default' \
'--exit-zero[Exit with 0 whatever the gate says]' \
'-q[Show no progress and no report]' \
'--quiet[Show no progress and no report]' \
'(--store)--no-store[Record nothing, and keep no answer]' \
'(--no-store)--no-cache[Have everything computed anew, and keep no answer for other runs]' \
'(--no-store --no-cache)--refresh[Have everything computed anew, and keep the answers in the place of those of before]' \
'(--resume --no-store --no-cache --refresh --server --dry-run)--continue[Go on with the last run of this very command that failed or was interrupted, or start one\: for batch systems, which start a job again with the command that it had. A part goes on with this, too]' \
'--dry-run[List what would run, without touching a model]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
'::suite -- The suite, a TOML file; with --resume it may be left out:_files' \
&& ret=0
;;
(merge)
_arguments "${_arguments_options[@]}" : \
'--format=[What goes to stdout]:FORMAT:((human\:"A report to read"
jsonl\:"A line a probe, then a summary"
json\:"The record"))' \
'--json=[Write the record as JSON (\`-\` is stdout)]:FILE:_files' \
'--jsonl=[Write a line a probe and a summary, as JSONL]:FILE:_files' \
'--markdown=[Write a report for a pull request]:FILE:_files' \
'--junit=[Write a report for CI, as \`JUnit\` XML]:FILE:_files' \
'--html=[Write a page for a browser]:FILE:_files' \
'--stats=[Write what the engine did, as JSON]:FILE:_files' \
'--threads=[Threads to compute with; as many as the machine has by default. No number depends on it]:N:_default' \
'--exit-zero[Exit with 0 whatever the gate says]' \
'-q[Show no progress and no report]' \
'--quiet[Show no progress and no report]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
'*::records -- The records (`--json`) that `sway run --shard` wrote, of all parts:_files' \
&& ret=0
;;
(score)
_arguments "${_arguments_options[@]}" : \
'--base=[The base\: a folder, or a hub id]:DIR_OR_ID:_default' \
'--adapter=[The adapter\: a folder, or a hub id]:DIR_OR_ID:_default' \
'--revision=[The base'\''s revision on the hub]:REVISION:_default' \
'--adapter-revision=[The adapter'\''s revision on the hub]:REVISION:_default' \
'--dtype=[What products with weights are computed in; norms, attention and the adapter stay in float32]:DTYPE:((f32\:"float32 weights, whatever the checkpoint'\''s"
bf16\:"bfloat16 weights, float32 sums\: half the bytes of float32 weights, and faster arithmetic only on CPUs that are fast at it"))' \
'--device=[Where it computes\: \`cpu\`, \`cuda\:0\` (or another number), or \`metal\`]:DEVICE:_default' \
'--server=[Have a daemon answer, where models stay warm\: \`http\://HOST\:PORT\`, or \`unix\:PATH\`]:URL:_default' \
'--token-file=[The file with the daemon'\''s token; \`SWAY_TOKEN\` where it is left out]:FILE:_files' \
'--trace=[Write a line for every request that was answered]:FILE:_files' \
'--stats=[Write what the engine did, as JSON]:FILE:_files' \
'--threads=[Threads to compute with; as many as the machine has by default. No number depends on it]:N:_default' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
'::requests -- The requests, a line each; stdin where it is left out, or `-`:_files' \
&& ret=0
;;
(serve)
_arguments "${_arguments_options[@]}" : \
'--listen=[Where to listen; with port 0 the system picks one. Another address than the loopback'\''s needs a token]:ADDRESS:_default' \
'(--listen)--socket=[Listen on a socket in the file system instead, for its owner alone]:PATH:_files' \
'--token-file=[A file with a token that clients must show; \`SWAY_TOKEN\` where it is left out]:FILE:_files' \
'*--allow=[Let requests name models and data under this folder (may be given several times)]:DIR:_files' \
'*--preload=[Load the models of this suite before anybody asks (may be given several times)]:SUITE:_files' \
'--max-models=[Models that stay warm; a base with two adapters is two, and in memory once]:N:_default' \
'--max-bytes=[Most that their weights may take, such as 40GB]:BYTES:_default' \
'--idle-timeout=[Unload what nobody asked for in this time, such as 10m]:TIME:_default' \
'--max-open=[Requests that may be in progress; whoever comes beyond is told to come again \[default\: 256\]]:N:_default' \
'--drain-time=[Once told to stop, finish what is in progress for so long at most \[default\: 30s\]]:TIME:_default' \
'--max-connections=[]:N:_default' \
'--head-time=[]:TIME:_default' \
'--stall-time=[]:TIME:_default' \
'--threads=[Threads to compute with; as many as the machine has by default. No number depends on it]:N:_default' \
'-q[Write no log to stderr]' \
'--quiet[Write no log to stderr]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(history)
_arguments "${_arguments_options[@]}" : \
'--limit=[How many runs to list, the last ones first]:N:_default' \
'--store=[Record the run, and keep answers, in this file; \`SWAY_STORE\`, or one in the user'\''s data folder, where it is left out]:FILE:_files' \
'--format=[How to list them]:FORMAT:(human json)' \
'--threads=[Threads to compute with; as many as the machine has by default. No number depends on it]:N:_default' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(show)
_arguments "${_arguments_options[@]}" : \
'--case=[Show what was written for this case, counted from 1, and its scores]:N:_default' \
'--probe=[Only of this probe]:NAME:_default' \
'--store=[Record the run, and keep answers, in this file; \`SWAY_STORE\`, or one in the user'\''s data folder, where it is left out]:FILE:_files' \
'--format=[How to show it]:FORMAT:(human json)' \
'--threads=[Threads to compute with; as many as the machine has by default. No number depends on it]:N:_default' \
'-h[Print help]' \
'--help[Print help]' \
':run -- The run'\''s number, as `sway history` tells it:_default' \
&& ret=0
;;
(cache)
_arguments "${_arguments_options[@]}" : \
'--threads=[Threads to compute with; as many as the machine has by default. No number depends on it]:N:_default' \
'-h[Print help]' \
'--help[Print help]' \
":: :_sway__subcmd__cache_commands" \
"*::: :->cache" \
&& ret=0

    case $state in
    (cache)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:sway-cache-command-$line[1]:"
        case $line[1] in
            (stats)
_arguments "${_arguments_options[@]}" : \
'--store=[Record the run, and keep answers, in this file; \`SWAY_STORE\`, or one in the user'\''s data folder, where it is left out]:FILE:_files' \
'--format=[How to tell it]:FORMAT:(human json)' \
'--threads=[Threads to compute with; as many as the machine has by default. No number depends on it]:N:_default' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(prune)
_arguments "${_arguments_options[@]}" : \
'--older-than=[Answers that were made longer ago \[default\: 90 days\]]:TIME:_default' \
'--max-bytes=[Beyond so many bytes, those that were used least lately \[default\: 2GiB\]]:BYTES:_default' \
'--store=[Record the run, and keep answers, in this file; \`SWAY_STORE\`, or one in the user'\''s data folder, where it is left out]:FILE:_files' \
'--threads=[Threads to compute with; as many as the machine has by default. No number depends on it]:N:_default' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(clear)
_arguments "${_arguments_options[@]}" : \
'--store=[Record the run, and keep answers, in this file; \`SWAY_STORE\`, or one in the user'\''s data folder, where it is left out]:FILE:_files' \
'--threads=[Threads to compute with; as many as the machine has by default. No number depends on it]:N:_default' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_sway__subcmd__cache__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:sway-cache-help-command-$line[1]:"
        case $line[1] in
            (stats)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(prune)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(clear)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
        esac
    ;;
esac
;;
(trace)
_arguments "${_arguments_options[@]}" : \
'--format=[How to show it]:FORMAT:(human markdown json)' \
'--slowest=[How many of the slowest requests to list]:N:_default' \
'--threads=[Threads to compute with; as many as the machine has by default. No number depends on it]:N:_default' \
'-h[Print help]' \
'--help[Print help]' \
':file -- The trace; stdin where it is `-`:_files' \
&& ret=0
;;
(inspect)
_arguments "${_arguments_options[@]}" : \
'--base=[The base that it was trained on\: a folder, or a hub id; where it is left out, the adapter'\''s own files are read alone]:DIR_OR_ID:_default' \
'--revision=[The base'\''s revision on the hub]:REVISION:_default' \
'--adapter-revision=[The adapter'\''s revision on the hub]:REVISION:_default' \
'--format=[How to tell it]:FORMAT:(human json)' \
'--threads=[Threads to compute with; as many as the machine has by default. No number depends on it]:N:_default' \
'-h[Print help]' \
'--help[Print help]' \
':adapter -- The adapter\: a folder, or a hub id:_default' \
&& ret=0
;;
(doctor)
_arguments "${_arguments_options[@]}" : \
'--format=[How to tell it]:FORMAT:(human json)' \
'--threads=[Threads to compute with; as many as the machine has by default. No number depends on it]:N:_default' \
'--offline[Send nothing\: neither the hub nor the token is tried out]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(verify-merge)
_arguments "${_arguments_options[@]}" : \
'--base=[The base\: a folder, or a hub id]:DIR_OR_ID:_default' \
'--adapter=[The adapter that was merged\: a folder, or a hub id]:DIR_OR_ID:_default' \
'--merged=[The merged checkpoint\: a folder, or a hub id]:DIR_OR_ID:_default' \
'--revision=[The base'\''s revision on the hub]:REVISION:_default' \
'--adapter-revision=[The adapter'\''s revision on the hub]:REVISION:_default' \
'--merged-revision=[The merged checkpoint'\''s revision on the hub]:REVISION:_default' \
'--merged-in=[What the merge was computed in, where that is coarser than what it is stored in]:DTYPE:(bf16 f16)' \
'--prompts=[Ask about the texts of this file\: \`.jsonl\`, or \`.txt\` with one a line; sixteen of sway'\''s own where it is left out]:FILE:_default' \
'--field=[The field of a JSON row that holds the text; \`prompt\` where it is left out]:NAME:_default' \
'--limit=[Take the first rows of the file only]:N:_default' \
'--format=[How to tell it]:FORMAT:(human json)' \
'--threads=[Threads to compute with; as many as the machine has by default. No number depends on it]:N:_default' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(list-probes)
_arguments "${_arguments_options[@]}" : \
'--format=[How to list them]:FORMAT:(human json)' \
'--threads=[Threads to compute with; as many as the machine has by default. No number depends on it]:N:_default' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(list-models)
_arguments "${_arguments_options[@]}" : \
'--format=[How to list them]:FORMAT:(human json)' \
'--threads=[Threads to compute with; as many as the machine has by default. No number depends on it]:N:_default' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(completions)
_arguments "${_arguments_options[@]}" : \
'--threads=[Threads to compute with; as many as the machine has by default. No number depends on it]:N:_default' \
'-h[Print help]' \
'--help[Print help]' \
':shell:(bash elvish fish powershell zsh)' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_sway__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:sway-help-command-$line[1]:"
        case $line[1] in
            (run)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(merge)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(score)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(serve)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(history)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(show)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(cache)
_arguments "${_arguments_options[@]}" : \
":: :_sway__subcmd__help__subcmd__cache_commands" \
"*::: :->cache" \
&& ret=0

    case $state in
    (cache)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:sway-help-cache-command-$line[1]:"
        case $line[1] in
            (stats)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(prune)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(clear)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
(trace)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(inspect)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(doctor)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(verify-merge)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(list-probes)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(list-models)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(completions)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
        esac
    ;;
esac
}

(( $+functions[_sway_commands] )) ||
_sway_commands() {
    local commands; commands=(
'run:Run a suite of probes, and say pass, fail, or can'\''t tell' \
'merge:Make one record of those that \`sway run --shard\` wrote (this very build), and say pass, fail, or can'\''t tell' \
'score:Answer requests (JSONL in, JSONL out)' \
'serve:Keep models warm, and answer over HTTP' \
'history:List the runs that were recorded' \
'show:Show a run that was recorded, or what was written for one of its cases' \
'cache:Look after the answers that are kept from run to run' \
'trace:Summarise a trace that \`--trace\` wrote' \
'inspect:Tell what an adapter holds, or changes of its base, module by module, without a forward pass' \
'doctor:Look at this machine\: build, CPU, memory, cache and hub, and tell what to do where something is bad' \
'verify-merge:Tell whether a merged checkpoint answers as its base with the adapter does, within the rounding of its dtype' \
'list-probes:List the kinds of probes' \
'list-models:List the models and adapters that are read' \
'completions:Print the completions of a shell' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'sway commands' commands "$@"
}
(( $+functions[_sway__subcmd__cache_commands] )) ||
_sway__subcmd__cache_commands() {
    local commands; commands=(
'stats:Tell what is kept' \
'prune:Let go of answers that are old, or beyond what they may take, and give their space back' \
'clear:Let go of all answers; runs stay' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'sway cache commands' commands "$@"
}
(( $+functions[_sway__subcmd__cache__subcmd__clear_commands] )) ||
_sway__subcmd__cache__subcmd__clear_commands() {
    local commands; commands=()
    _describe -t commands 'sway cache clear commands' commands "$@"
}
(( $+functions[_sway__subcmd__cache__subcmd__help_commands] )) ||
_sway__subcmd__cache__subcmd__help_commands() {
    local commands; commands=(
'stats:Tell what is kept' \
'prune:Let go of answers that are old, or beyond what they may take, and give their space back' \
'clear:Let go of all answers; runs stay' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'sway cache help commands' commands "$@"
}
(( $+functions[_sway__subcmd__cache__subcmd__help__subcmd__clear_commands] )) ||
_sway__subcmd__cache__subcmd__help__subcmd__clear_commands() {
    local commands; commands=()
    _describe -t commands 'sway cache help clear commands' commands "$@"
}
(( $+functions[_sway__subcmd__cache__subcmd__help__subcmd__help_commands] )) ||
_sway__subcmd__cache__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'sway cache help help commands' commands "$@"
}
(( $+functions[_sway__subcmd__cache__subcmd__help__subcmd__prune_commands] )) ||
_sway__subcmd__cache__subcmd__help__subcmd__prune_commands() {
    local commands; commands=()
    _describe -t commands 'sway cache help prune commands' commands "$@"
}
(( $+functions[_sway__subcmd__cache__subcmd__help__subcmd__stats_commands] )) ||
_sway__subcmd__cache__subcmd__help__subcmd__stats_commands() {
    local commands; commands=()
    _describe -t commands 'sway cache help stats commands' commands "$@"
}
(( $+functions[_sway__subcmd__cache__subcmd__prune_commands] )) ||
_sway__subcmd__cache__subcmd__prune_commands() {
    local commands; commands=()
    _describe -t commands 'sway cache prune commands' commands "$@"
}
(( $+functions[_sway__subcmd__cache__subcmd__stats_commands] )) ||
_sway__subcmd__cache__subcmd__stats_commands() {
    local commands; commands=()
    _describe -t commands 'sway cache stats commands' commands "$@"
}
(( $+functions[_sway__subcmd__completions_commands] )) ||
_sway__subcmd__completions_commands() {
    local commands; commands=()
    _describe -t commands 'sway completions commands' commands "$@"
}
(( $+functions[_sway__subcmd__doctor_commands] )) ||
_sway__subcmd__doctor_commands() {
    local commands; commands=()
    _describe -t commands 'sway doctor commands' commands "$@"
}
(( $+functions[_sway__subcmd__help_commands] )) ||
_sway__subcmd__help_commands() {
    local commands; commands=(
'run:Run a suite of probes, and say pass, fail, or can'\''t tell' \
'merge:Make one record of those that \`sway run --shard\` wrote (this very build), and say pass, fail, or can'\''t tell' \
'score:Answer requests (JSONL in, JSONL out)' \
'serve:Keep models warm, and answer over HTTP' \
'history:List the runs that were recorded' \
'show:Show a run that was recorded, or what was written for one of its cases' \
'cache:Look after the answers that are kept from run to run' \
'trace:Summarise a trace that \`--trace\` wrote' \
'inspect:Tell what an adapter holds, or changes of its base, module by module, without a forward pass' \
'doctor:Look at this machine\: build, CPU, memory, cache and hub, and tell what to do where something is bad' \
'verify-merge:Tell whether a merged checkpoint answers as its base with the adapter does, within the rounding of its dtype' \
'list-probes:List the kinds of probes' \
'list-models:List the models and adapters that are read' \
'completions:Print the completions of a shell' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'sway help commands' commands "$@"
}
(( $+functions[_sway__subcmd__help__subcmd__cache_commands] )) ||
_sway__subcmd__help__subcmd__cache_commands() {
    local commands; commands=(
'stats:Tell what is kept' \
'prune:Let go of answers that are old, or beyond what they may take, and give their space back' \
'clear:Let go of all answers; runs stay' \
    )
    _describe -t commands 'sway help cache commands' commands "$@"
}
(( $+functions[_sway__subcmd__help__subcmd__cache__subcmd__clear_commands] )) ||
_sway__subcmd__help__subcmd__cache__subcmd__clear_commands() {
    local commands; commands=()
    _describe -t commands 'sway help cache clear commands' commands "$@"
}
(( $+functions[_sway__subcmd__help__subcmd__cache__subcmd__prune_commands] )) ||
_sway__subcmd__help__subcmd__cache__subcmd__prune_commands() {
    local commands; commands=()
    _describe -t commands 'sway help cache prune commands' commands "$@"
}
(( $+functions[_sway__subcmd__help__subcmd__cache__subcmd__stats_commands] )) ||
_sway__subcmd__help__subcmd__cache__subcmd__stats_commands() {
    local commands; commands=()
    _describe -t commands 'sway help cache stats commands' commands "$@"
}
(( $+functions[_sway__subcmd__help__subcmd__completions_commands] )) ||
_sway__subcmd__help__subcmd__completions_commands() {
    local commands; commands=()
    _describe -t commands 'sway help completions commands' commands "$@"
}
(( $+functions[_sway__subcmd__help__subcmd__doctor_commands] )) ||
_sway__subcmd__help__subcmd__doctor_commands() {
    local commands; commands=()
    _describe -t commands 'sway help doctor commands' commands "$@"
}
(( $+functions[_sway__subcmd__help__subcmd__help_commands] )) ||
_sway__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'sway help help commands' commands "$@"
}
(( $+functions[_sway__subcmd__help__subcmd__history_commands] )) ||
_sway__subcmd__help__subcmd__history_commands() {
    local commands; commands=()
    _describe -t commands 'sway help history commands' commands "$@"
}
(( $+functions[_sway__subcmd__help__subcmd__inspect_commands] )) ||
_sway__subcmd__help__subcmd__inspect_commands() {
    local commands; commands=()
    _describe -t commands 'sway help inspect commands' commands "$@"
}
(( $+functions[_sway__subcmd__help__subcmd__list-models_commands] )) ||
_sway__subcmd__help__subcmd__list-models_commands() {
    local commands; commands=()
    _describe -t commands 'sway help list-models commands' commands "$@"
}
(( $+functions[_sway__subcmd__help__subcmd__list-probes_commands] )) ||
_sway__subcmd__help__subcmd__list-probes_commands() {
    local commands; commands=()
    _describe -t commands 'sway help list-probes commands' commands "$@"
}
(( $+functions[_sway__subcmd__help__subcmd__merge_commands] )) ||
_sway__subcmd__help__subcmd__merge_commands() {
    local commands; commands=()
    _describe -t commands 'sway help merge commands' commands "$@"
}
(( $+functions[_sway__subcmd__help__subcmd__run_commands] )) ||
_sway__subcmd__help__subcmd__run_commands() {
    local commands; commands=()
    _describe -t commands 'sway help run commands' commands "$@"
}
(( $+functions[_sway__subcmd__help__subcmd__score_commands] )) ||
_sway__subcmd__help__subcmd__score_commands() {
    local commands; commands=()
    _describe -t commands 'sway help score commands' commands "$@"
}
(( $+functions[_sway__subcmd__help__subcmd__serve_commands] )) ||
_sway__subcmd__help__subcmd__serve_commands() {
    local commands; commands=()
    _describe -t commands 'sway help serve commands' commands "$@"
}
(( $+functions[_sway__subcmd__help__subcmd__show_commands] )) ||
_sway__subcmd__help__subcmd__show_commands() {
    local commands; commands=()
    _describe -t commands 'sway help show commands' commands "$@"
}
(( $+functions[_sway__subcmd__help__subcmd__trace_commands] )) ||
_sway__subcmd__help__subcmd__trace_commands() {
    local commands; commands=()
    _describe -t commands 'sway help trace commands' commands "$@"
}
(( $+functions[_sway__subcmd__help__subcmd__verify-merge_commands] )) ||
_sway__subcmd__help__subcmd__verify-merge_commands() {
    local commands; commands=()
    _describe -t commands 'sway help verify-merge commands' commands "$@"
}
(( $+functions[_sway__subcmd__history_commands] )) ||
_sway__subcmd__history_commands() {
    local commands; commands=()
    _describe -t commands 'sway history commands' commands "$@"
}
(( $+functions[_sway__subcmd__inspect_commands] )) ||
_sway__subcmd__inspect_commands() {
    local commands; commands=()
    _describe -t commands 'sway inspect commands' commands "$@"
}
(( $+functions[_sway__subcmd__list-models_commands] )) ||
_sway__subcmd__list-models_commands() {
    local commands; commands=()
    _describe -t commands 'sway list-models commands' commands "$@"
}
(( $+functions[_sway__subcmd__list-probes_commands] )) ||
_sway__subcmd__list-probes_commands() {
    local commands; commands=()
    _describe -t commands 'sway list-probes commands' commands "$@"
}
(( $+functions[_sway__subcmd__merge_commands] )) ||
_sway__subcmd__merge_commands() {
    local commands; commands=()
    _describe -t commands 'sway merge commands' commands "$@"
}
(( $+functions[_sway__subcmd__run_commands] )) ||
_sway__subcmd__run_commands() {
    local commands; commands=()
    _describe -t commands 'sway run commands' commands "$@"
}
(( $+functions[_sway__subcmd__score_commands] )) ||
_sway__subcmd__score_commands() {
    local commands; commands=()
    _describe -t commands 'sway score commands' commands "$@"
}
(( $+functions[_sway__subcmd__serve_commands] )) ||
_sway__subcmd__serve_commands() {
    local commands; commands=()
    _describe -t commands 'sway serve commands' commands "$@"
}
(( $+functions[_sway__subcmd__show_commands] )) ||
_sway__subcmd__show_commands() {
    local commands; commands=()
    _describe -t commands 'sway show commands' commands "$@"
}
(( $+functions[_sway__subcmd__trace_commands] )) ||
_sway__subcmd__trace_commands() {
    local commands; commands=()
    _describe -t commands 'sway trace commands' commands "$@"
}
(( $+functions[_sway__subcmd__verify-merge_commands] )) ||
_sway__subcmd__verify-merge_commands() {
    local commands; commands=()
    _describe -t commands 'sway verify-merge commands' commands "$@"
}

if [ "$funcstack[1]" = "_sway" ]; then
    _sway "$@"
else
    compdef _sway sway
fi

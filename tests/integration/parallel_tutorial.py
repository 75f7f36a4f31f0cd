"""The examples of GNU parallel's tutorial (man parallel_tutorial), and whether `fantail parallel` does the same.

test_parallel.py runs them under both programs. CHAPTERS has all examples of the tutorial that call GNU parallel, in its
order. Many are shortened: smaller numbers, shorter pauses, one line instead of several, and programs that every machine
has. The indented examples are those below a line `differs: REASON` or `not run: REASON`. All other examples give the same
output, exit status and files, unless parallel_examples.py has a reason why they differ.

`python3 parallel_tutorial.py` prints the two tables of docs/parallel.md: the numbers of examples, and the examples that
differ or are not run, without those that are in the table of parallel_examples.py."""

import parallel_examples as manual

CHAPTERS = r"""
# Prerequisites
parallel -k echo ::: A B C > made
parallel -k echo ::: D E F > made

# Input sources
parallel echo ::: A B C
parallel -a abc-file echo
cat abc-file | parallel echo
parallel echo ::: A B C ::: D E F
parallel -a abc-file -a def-file echo
cat abc-file | parallel -a - -a def-file echo
cat abc-file | parallel echo :::: - def-file
parallel echo ::: A B C :::: def-file
parallel --link echo ::: A B C ::: D E F
parallel --link echo ::: A B C D E ::: F G
parallel echo :::: abc-file :::+ G H I :::: def-file
parallel echo :::: abc-file ::: G H I ::::+ def-file
parallel echo ::: A B C D E :::+ F G
parallel --arg-sep ,, echo ,, A B C :::: def-file
parallel --arg-file-sep // echo ::: A B C // def-file
parallel -d _ echo :::: abc_-file
parallel -d '\0' echo :::: abc0-file
parallel -0 echo :::: abc0-file
parallel -E stop echo ::: A B stop C D
(echo 1; echo; echo 2) | parallel --no-run-if-empty echo

# Building the command line
parallel ::: ls 'echo foo' pwd
my_func() { echo in my_func $1; }; export -f my_func; parallel my_func ::: 1 2 3
parallel echo ::: A/B.C
parallel echo {} ::: A/B.C
parallel echo {.} ::: A/B.C
parallel echo {/} ::: A/B.C
parallel echo {//} ::: A/B.C
parallel echo {/.} ::: A/B.C
parallel echo {#} ::: A B C
parallel -j 2 'sleep 2; echo {%}' ::: A B | sort -u
parallel -I ,, echo ,, ::: A/B.C
parallel --extensionreplace ,, echo ,, ::: A/B.C
parallel --basenamereplace ,, echo ,, ::: A/B.C
parallel --dirnamereplace ,, echo ,, ::: A/B.C
parallel --basenameextensionreplace ,, echo ,, ::: A/B.C
parallel --seqreplace ,, echo ,, ::: A B C
parallel -j2 --slotreplace ,, 'sleep 2; echo ,,' ::: A B | sort -u
parallel echo '{= s:\.[^.]+$::;s:\.[^.]+$::; =}' ::: foo.tar.gz
parallel echo Job {#} of {= '$_=total_jobs()' =} ::: {1..5}
parallel echo {} shell quoted is {= '$_=Q($_)' =} ::: '*/!#$'
parallel echo {= 'if($_==3) { skip() }' =} ::: {1..5}
parallel echo {= 'if($arg[1]==$arg[2]) { skip() }' =} ::: {1..3} ::: {1..3}
parallel --parens ,,,, echo ',, s:\.[^.]+$::;s:\.[^.]+$::; ,,' ::: foo.tar.gz
parallel --rpl '.. s:\.[^.]+$::;s:\.[^.]+$::;' echo '..' ::: foo.tar.gz
parallel --rpl '{..} s:\.[^.]+$::;s:\.[^.]+$::;' echo '{..}' ::: foo.tar.gz
parallel --rpl '{%(.+?)} s/$$1$//;' echo {%.tar.gz}.zip ::: foo.tar.gz
parallel --rpl '{/(.+?)/(.*?)} s/$$1/$$2/;' echo {/tar.gz/zip} ::: foo.tar.gz
parallel echo {1} and {2} ::: A B ::: C D
parallel echo /={1/} //={1//} /.={1/.} .={1.} ::: A/B.C D/E.F
parallel echo 1={1} 2={2} 3={3} -1={-1} -2={-2} -3={-3} ::: A B ::: C D ::: E F
parallel echo '{=2 s:\.[^.]+$::;s:\.[^.]+$::; =} {1}' ::: bar ::: foo.tar.gz
differs: fantail runs no Perl
    parallel --rpl '{..} s:\.[^.]+$::;s:\.[^.]+$::;' echo '{2..} {1}' ::: bar ::: foo.tar.gz
parallel --colsep '\t' echo 1={1} 2={2} :::: tsv-file.tsv
parallel --header : echo f1={f1} f2={f2} ::: f1 A B ::: f2 C D
parallel --header : --colsep '\t' echo f1={f1} f2={f2} :::: tsv-file.tsv
parallel --plus echo {} ::: dir/sub/file.ex1.ex2.ex3
parallel --plus echo {+/}/{/} ::: dir/sub/file.ex1.ex2.ex3
parallel --plus echo {.}.{+.} ::: dir/sub/file.ex1.ex2.ex3
parallel --plus echo {+/}/{/.}.{+.} ::: dir/sub/file.ex1.ex2.ex3
parallel --plus echo {..}.{+..} ::: dir/sub/file.ex1.ex2.ex3
parallel --plus echo {+/}/{/..}.{+..} ::: dir/sub/file.ex1.ex2.ex3
parallel --plus echo {...}.{+...} ::: dir/sub/file.ex1.ex2.ex3
parallel --plus echo {+/}/{/...}.{+...} ::: dir/sub/file.ex1.ex2.ex3
parallel --plus echo Job {#} of {##} ::: {1..5}
parallel --plus echo {:-myval} ::: ""
parallel --plus echo {:2} ::: abcAaAdef
parallel --plus echo {:2:3} ::: abcAaAdef
parallel --plus echo {#bc} {#abc} ::: abcAaAdef
parallel --plus echo {%de} {%def} ::: abcAaAdef
parallel --plus echo {/def/ghi} ::: abcAaAdef
parallel --plus echo {^a} {^^a} ::: abcAaAdef
parallel --plus echo '{,A}' '{,,A}' ::: AbcAaAdef
cat num30000 | parallel --xargs echo | wc -l
cat num30000 | parallel --xargs -s 10000 echo | wc -l
cat num30000 | parallel --jobs 4 -m echo | wc -l
parallel --jobs 4 -m echo ::: 1 2 3 4 5 6 7 8 9 10
parallel --jobs 4 -m echo pre-{}-post ::: A B C D E F G
parallel --jobs 4 -X echo pre-{}-post ::: A B C D E F G
parallel -N3 echo ::: A B C D E F G H
parallel -N3 echo 1={1} 2={2} 3={3} ::: A B C D E F G H
parallel -N0 echo foo ::: 1 2 3
parallel perl -e 'print "@ARGV\n"' ::: This wont work
parallel -q perl -e 'print "@ARGV\n"' ::: This works
parallel perl -e \''print "@ARGV\n"'\' ::: This works, too
printf '%s\n' 'perl -e '\''print "@ARGV\n"'\' | parallel --shellquote
parallel perl\ -e\ \'print\ \"@ARGV\\n\"\' ::: This also works
parallel --trim r echo pre-{}-post ::: ' A '
parallel --trim l echo pre-{}-post ::: ' A '
parallel --trim lr echo pre-{}-post ::: ' A '
zsh -c 'parallel echo \={} ::: zsh bash ls'
not run: needs csh
    parallel 'set a="{}"; if( { test -d "$a" } ) echo "$a is a dir"' ::: *

# Controlling the output
parallel --tag echo foo-{} ::: A B C
parallel --tagstring {}-bar echo foo-{} ::: A B C
parallel --dryrun echo {} ::: A B C
parallel --verbose echo {} ::: A B C
parallel -j2 'printf "%s-start\n%s" {} {}; sleep 0.{};printf "%s\n" -middle;echo {}-end' ::: 4 2 1
parallel -j2 --ungroup 'printf "%s-start\n" {}; sleep 0.{};echo {}-end' ::: 4 2 1
parallel -j2 --linebuffer 'printf "%s-start\n%s" {} {}; sleep 0.{};printf "%s\n" -middle;echo {}-end' ::: 4 2 1
parallel -j2 -k 'printf "%s-start\n%s" {} {}; sleep 0.{};printf "%s\n" -middle;echo {}-end' ::: 4 2 1
parallel --files echo ::: A B C | wc -l
parallel --tmpdir . --files echo ::: A B C | wc -l
differs: `--results` writes the files
    TMPDIR=. parallel --files echo ::: A B C | wc -l
parallel --results outdir echo ::: A B C
parallel --header : --results outdir echo ::: f1 A B ::: f2 C D

# Controlling the execution
parallel -N0 -j64 sleep 0.1 :::: num8
parallel -N0 sleep 0.1 :::: num8
parallel -N0 --jobs 200% sleep 0.1 :::: num8
parallel -N0 --jobs 0 sleep 0.1 :::: num8
echo 50% > my_jobs; parallel -N0 --jobs my_jobs sleep 1 :::: num8 & sleep 1; echo 8 > my_jobs; wait
parallel --use-cpus-instead-of-cores -N0 sleep 0.1 :::: num8
parallel --shuf echo ::: 1 2 3 ::: a b c ::: A B C
not run: needs a terminal, which a command cannot use
    parallel --interactive echo ::: 1 2 3
    parallel --tty emacs ::: 1 2 3
    parallel -X --tty vi ::: 1 2 3
    seq 10 20 | parallel --tmux 'echo start {}; sleep {}; echo done {}'
parallel --delay 0.2 echo Starting {} ::: 1 2 3
parallel -j4 --timeout 2 sleep {}\; echo {} ::: 0.2 0.4 30 40
parallel -j4 --timeout 300% sleep {}\; echo {} ::: 2.1 2.2 2.3 2.4 60
parallel --eta sleep ::: 0.1 0.3 0.2
parallel --progress sleep ::: 0.1 0.3 0.2
parallel --bar sleep ::: 0.1 0.3 0.2
seq 20 | parallel -j10 --bar '(echo {};sleep 0.1)' 2> >(perl -pe 'BEGIN{$/="\r";$|=1};s/\r/\n/g' | wc -l > /dev/null)
parallel --joblog log exit ::: 1 2 3 0; cut -f1,2,7-9 log; rm log
parallel --joblog log exit ::: 1 2 3 0; parallel --resume --joblog log exit ::: 1 2 3 0 0 0; cut -f1,2,7-9 log; rm log
parallel --joblog log exit ::: 1 2 3 0; parallel --resume-failed --joblog log exit ::: 1 2 3 0 0 0; cut -f1,2,7-9 log; rm log
parallel --joblog log exit ::: 1 0; parallel --retry-failed --joblog log; cut -f1,7-9 log; rm log
parallel -j2 --halt soon,fail=1 echo {}\; exit {} ::: 0 0 1
parallel -j1 --halt now,fail=1 echo {}\; exit {} ::: 0 0 1 2 3
parallel -j1 --halt soon,fail=20% echo {}\; exit {} ::: 0 1 2 3 4 5 6 7 8 9
parallel -j1 --halt now,success=1 echo {}\; exit {} ::: 1 2 3 0 4 5 6
parallel -k --retries 3 'echo tried {} >>runs; echo completed {}; exit {}' ::: 1 2 0; sort runs; rm runs
differs: a command is ended with SIGKILL
    echo | parallel --termseq TERM,200,TERM,100,TERM,50,KILL,25 -u --timeout 1 'trap "echo Got TERM" TERM; while :; do sleep 0.05; done; :'
    echo | parallel -u --timeout 1 'trap "echo Got TERM" TERM; while :; do sleep 0.05; done; :'
echo | parallel --termseq INT,200,TERM,100,KILL,25 -u --timeout 1 'trap "echo Got INT; exit" INT; sleep 3 & wait'
parallel --load 10000% echo load is less than {} job per cpu ::: 1
differs: `--load` and `--memfree` hold commands back
    parallel --noswap echo the system is not swapping ::: now
parallel --memfree 1M echo will run if more than 1 MB is ::: free
parallel --nice 17 echo this is being run with nice -n ::: 17

# Remote execution
not run: needs other hosts, and a command runs on this machine only
    parallel -S $SERVER1 echo running on ::: $SERVER1
    parallel -S username@$SERVER1 echo running on ::: username@$SERVER1
parallel -S : echo running on ::: the_local_machine
not run: needs other hosts, and a command runs on this machine only
    parallel -S '/usr/bin/ssh '$SERVER1 echo custom ::: ssh
    parallel --ssh /usr/bin/ssh -S $SERVER1 echo custom ::: ssh
    export PARALLEL_SSH=/usr/bin/ssh; parallel -S $SERVER1 echo custom ::: ssh
    parallel -S $SERVER1 -S $SERVER2 echo ::: running on more hosts
    parallel -S $SERVER1,$SERVER2 echo ::: running on more hosts
    parallel -S "$(echo $SERVER1; echo $SERVER2)" echo ::: running on more hosts
    parallel --sshloginfile nodefile echo ::: running on more hosts
    parallel -S 4/$SERVER1 echo force {} cpus on server ::: 4
    parallel --hostgroup -S @grp1/$SERVER1 -S @grp2/$SERVER2 echo {} ::: run_on_grp1@grp1 run_on_grp2@grp2
    parallel -S @grp1 -S @grp1+grp2/$SERVER1 -S @grp2/SERVER2 echo {} ::: run_on_grp1 also_grp1
    parallel -S $SERVER1 --transferfile {} cat ::: input_file
    parallel -S $SERVER1 --transferfile {} --return {}.out cat {} ">"{}.out ::: input_file
    parallel -S $SERVER1 --transferfile {} --return {}.out --cleanup cat {} ">"{}.out ::: input_file
    parallel -S $SERVER1 --trc {}.out cat {} ">"{}.out ::: input_file
    parallel --basefile common_file -S $SERVER1 cat common_file\; echo {} ::: foo
    parallel -S $SERVER1 pwd ::: ""
    parallel --workdir . -S $SERVER1 pwd ::: ""
    parallel --workdir ... -S $SERVER1 pwd ::: ""
    parallel -S $SERVER1 --sshdelay 0.2 echo ::: 1 2 3
    parallel --controlmaster -S $SERVER1 echo ::: 1 2 3
    parallel --filter-hosts -S 173.194.32.46,$SERVER1 echo ::: bar
    parallel --onall -S $SERVER1,$SERVER2 echo ::: foo bar
    parallel --nonall -S $SERVER1,$SERVER2 echo foo bar
    parallel --nonall --tag -S $SERVER1,$SERVER2 echo foo bar
differs: `env_parallel` is a part of GNU parallel. A command has the exported variables and functions
    . env_parallel.bash; myvar="Joe's var is"; env_parallel 'echo $myvar' ::: green
    . env_parallel.bash; not_ex() { echo in not_exported_func $1; }; env_parallel --env _ not_ex ::: bar
export MYVAR='foo bar'; parallel --env MYVAR -S : echo '$MYVAR' ::: baz
my_func() { echo in my_func $1; }; export -f my_func; parallel --env my_func -S : my_func ::: baz
differs: not needed, because `--env` has no effect
    parallel --record-env && ls ~/.parallel/ignored_vars
parallel --record-env; my_func2() { echo in my_func2 $VAR $1; }; export -f my_func2; export VAR=foo; parallel --env _ -S : 'echo $VAR; my_func2' ::: bar
differs: no helper program is put around the command
    parallel -vv --pipepart --block 1M wc :::: num30000
not run: needs other hosts, and a command runs on this machine only
    parallel -vv --workdir ... --nice 17 --env _ --trc {}.out -S $SERVER1 my_func3 {} ::: abc-file

# Saving output to shell variables
differs: `parset` is a part of GNU parallel. `mapfile` of bash reads the output into an array
    . env_parallel.bash; parset myvar1,myvar2 echo ::: a b; echo $myvar1; echo $myvar2
    . env_parallel.bash; parset myarray seq {} 5 ::: 1 2 3; echo "${myarray[1]}"
    . env_parallel.bash; cmd=("echo '<<joe  \"double  space\"  cartoon>>'" "pwd"); parset data ::: "${cmd[@]}"; echo "${data[0]}"; echo "${data[1]}"

# Saving to an SQL base
not run: needs a database
    parallel --sqlandworker csv:///%2Ftmp/log.csv seq ::: 10 ::: 12 13 14
    parallel --results outdir --sqlandworker csv:///%2Ftmp/log2.csv seq ::: 10 ::: 12 13 14
    parallel --sqlandworker $DBURLTABLE echo ::: foo bar ::: baz quuz
    parallel --sqlmaster $DBURLTABLE echo ::: foo bar ::: baz quuz
    parallel --sqlworker $DBURLTABLE echo ::: foo bar ::: baz quuz

# --pipe
cat num30000 | parallel --pipe wc
cat num30000 | parallel --pipe --block 2M wc
cat num30000 | parallel --pipe -j2 --roundrobin wc
cat num30000 | parallel --pipe -N7000 wc
cat num30000 | parallel --pipe -L75 wc
echo -n HHHHAAABBBCCC | parallel --pipe --header .{4} --block 3 --recend '' 'echo start; cat; echo'
echo /foo, bar/, /baz, qux/, | parallel -kN1 --recend ', ' --pipe echo JOB{#}\;cat\;echo END
echo /foo, bar/, /baz, qux/, | parallel -kN1 --recstart / --pipe echo JOB{#}\;cat\;echo END
echo /foo, bar/, /baz, qux/, | parallel -kN1 --recend ', ' --recstart / --pipe echo JOB{#}\;cat\;echo END
echo foo,bar,_baz,__qux, | parallel -kN1 --regexp --recend ,_+ --pipe echo JOB{#}\;cat\;echo END
echo foo,bar,_baz,__qux, | parallel -kN1 --rrs --regexp --recend ,_+ --pipe echo JOB{#}\;cat\;echo END
(echo %head1; echo %head2; seq 10) | parallel --header '(%.*\n)*' --pipe -N3 echo JOB{#}\;cat
(echo %head1; echo %head2; seq 10) | parallel --header 2 --pipe -N3 echo JOB{#}\;cat
parallel --pipepart -a num30000 --block 3m wc

# Shebang
differs: `--shebang` is not supported. A script can give the values in a here-document
    printf '#!%s --shebang -r echo\n\nfoo\nbar\nbaz\n' "$(type -p parallel)" > script; chmod +x script; ./script; rm script
printf 'print "@ARGV\\n"' > perl_echo; parallel perl perl_echo ::: foo bar
differs: `--shebang-wrap` is not supported. A script can pass its arguments on: `fantail parallel perl FILE ::: "$@"`
    printf '#!%s --shebang-wrap /usr/bin/perl\n\nprint "@ARGV\\n"\n' "$(type -p parallel)" > script; chmod +x script; ./script foo bar; rm script
    printf '#!%s --shebang-wrap /usr/bin/perl\n\nprint "Arguments @ARGV\\n"\n' "$(type -p parallel)" > script; chmod +x script; ./script foo bar; rm script
    printf '#!%s --shebang-wrap /bin/bash\n\necho Arguments "$@"\n' "$(type -p parallel)" > script; chmod +x script; ./script foo bar; rm script
not run: needs this program. The script does the same as those above
    #!/usr/bin/parallel --shebang-wrap /usr/bin/python
    #!/usr/bin/parallel --shebang-wrap /bin/csh
    #!/usr/bin/parallel --shebang-wrap /usr/bin/tclsh
    #!/usr/bin/parallel --shebang-wrap /usr/bin/Rscript --vanilla --slave
    #!/usr/bin/parallel --shebang-wrap ARG={} /usr/bin/gnuplot
    #!/usr/bin/parallel --shebang-wrap /usr/bin/ruby
    #!/usr/bin/parallel --shebang-wrap /usr/bin/octave
    #!/usr/bin/parallel --shebang-wrap /usr/bin/clisp
    #!/usr/bin/parallel --shebang-wrap /usr/bin/php
    #!/usr/bin/parallel --shebang-wrap /usr/bin/node
    #!/usr/bin/parallel --shebang-wrap /usr/bin/lua
    #!/usr/bin/parallel --shebang-wrap ARGV={} /usr/bin/csharp

# Semaphore
differs: `flock` is a mutex for commands
    parallel --semaphore 'sleep 0.1; echo The first finished'; parallel --semaphore --wait
    parallel --semaphore --fg 'echo The first finished'; parallel --semaphore --wait
    parallel --semaphore --id my_id -u 'echo First started; sleep 0.1; echo First done'; parallel --semaphore --id my_id --wait
    parallel --semaphore --jobs 3 --id my_id -u 'echo Start 1; sleep 0.1; echo 1 done'; parallel --semaphore --wait --id my_id
    parallel --semaphore --id foo --semaphoretimeout 1 'echo Forced running after 1 sec'; parallel --semaphore --id foo --wait

# Informational
differs: `fantail parallel` is another program
    parallel --help
    parallel --version
    parallel --minversion 20130722 && echo Your version is at least 20130722.
differs: a command line has at most 131,072 bytes
    parallel --max-line-length-allowed
differs: `nproc` prints the number of processors
    parallel --number-of-cpus
    parallel --number-of-cores

# Profiles
differs: the files below `~/.parallel` are not read
    echo '--nice 17 --timeout 300%' > ~/.parallel/nicetimeout; parallel --profile nicetimeout echo ::: A B C
    echo '-vv --dry-run' > ~/.parallel/dryverbose; parallel --profile dryverbose echo ::: A B C
"""


class Example:
    """An example, its chapter, whether it runs here, and why it differs or does not run; None: it gives the same."""

    def __init__(self, text, chapter, runs, reason):
        self.text, self.chapter, self.runs, self.reason = text, chapter, runs, reason


def read_examples():
    elsewhere, read = manual.reasons(), []
    chapter = runs = reason = None
    for line in manual.lines(CHAPTERS):
        if line.startswith("# "):
            chapter = line[2:]
        elif line.startswith("    "):
            read.append(Example(line[4:], chapter, runs, reason))
        elif line.startswith(("differs: ", "not run: ")):
            runs, reason = line.startswith("differs: "), line.removeprefix("differs: ")
        else:
            read.append(Example(line, chapter, True, elsewhere.get(line)))
    return read


EXAMPLES = read_examples()
SAME = [example.text for example in EXAMPLES if not example.reason]
DIFFERENT = [example.text for example in EXAMPLES if example.reason and example.runs]
NOT_RUN = [example.text for example in EXAMPLES if not example.runs]


def numbers():
    """Returns the rows of the table with the numbers of the examples of each chapter."""
    rows = []
    for chapter in dict.fromkeys(example.chapter for example in EXAMPLES):
        texts = [example.text for example in EXAMPLES if example.chapter == chapter]
        counts = [sum(text in chosen for text in texts) for chosen in (SAME, DIFFERENT, NOT_RUN)]
        rows.append("| {} | {} | {} | {} |".format(chapter, *counts))
    return rows


def table():
    """Returns the rows of the table of the examples that differ or are not run, without those of manual.table()."""
    elsewhere = manual.reasons()
    return [manual.row(example.text, example.reason)
            for example in EXAMPLES if example.reason and example.text not in elsewhere]


if __name__ == "__main__":
    print("\n".join([*numbers(), "", *table()]))

"""Examples of GNU parallel's manual (man parallel, parallel_tutorial, parallel_examples) that run commands, and whether
`fantail parallel` does the same. test_parallel.py runs each example under both programs.

Some examples are shortened: smaller numbers, shorter pauses, and programs that every machine has. SAME has the
examples that give the same output, exit status and files. DIFFERENT has the other examples, each with the reason.
`python3 parallel_examples.py` prints DIFFERENT as the table of docs/parallel.md."""

# The files of the tutorial.
FILES = {
    "abc-file": "A\nB\nC\n",
    "def-file": "D\nE\nF\n",
    "abc0-file": "A\0B\0C\0",
    "abc_-file": "A_B_C_",
    "tsv-file.tsv": "f1\tf2\nA\tB\nC\tD\n",
    "num8": "".join(f"{n}\n" for n in range(1, 9)),
    "num30000": "".join(f"{n}\n" for n in range(1, 30001)),
}


def lines(text):
    return [line for line in text.splitlines() if line]


EXAMPLES = r"""
touch {a,b}.html; find . -name '*.html' | parallel gzip -n --best
echo FOO BAR > "a b"; find . -type f -name 'a*b' -print0 | parallel -q0 perl -i -pe 's/FOO BAR/FUBAR/g'
touch {a,b}.html; parallel gzip -n --best ::: *.html
touch {1,2}.wav; parallel cp {} {.}.mp3 ::: *.wav
touch {1,2}.log; mkdir destdir; ls | grep -E '\.log$' | parallel mv {} destdir
touch {1,2}.log; mkdir destdir; ls | grep -E '\.log$' | parallel -m mv {} destdir
touch {1,2}.log; mkdir destdir; printf '%s\0' *.log | parallel -0 -m mv {} destdir
touch pict{00..19}.jpg; seq -w 0 9 | parallel rm pict0{}.jpg
touch pict{00..19}.jpg; seq -w 00 19 | perl -pe 's/(.*)/pict$1.jpg/' | parallel -m rm
touch pict{00..19}.jpg; seq -w 00 19 | parallel -X rm pict{}.jpg
touch {1,2}.jpg; ls *.jpg | parallel cp {} thumb_{}
mkdir foo; touch foo/bar.jpg; find . -name '*.jpg' | parallel cp {} {}_thumb.jpg
mkdir foo; touch foo/bar.jpg; find . -name '*.jpg' | parallel cp {} {.}_thumb.jpg
echo a | gzip -n > a.gz; parallel zcat {} ">"{.} ::: *.gz
echo a | gzip -n > a.gz; parallel "zcat {} >{.}" ::: *.gz
mkdir one two; touch one/{1,2}; ls -d one two | parallel 'echo -n {}" "; ls {}|wc -l'
mkdir one two; touch one/{1,2}; ls -d one two | parallel '(echo -n {}" "; ls {}|wc -l) >{}.dir'
find . | parallel 'a={}; name=${a##*/};' 'upper=$(echo "$name" | tr "[:lower:]" "[:upper:]");' 'echo "$name - $upper"'
touch A1 B1; ls A1 B1 | parallel 'mv {} "$(echo {} | tr "[:upper:]" "[:lower:]")"'
printf '%s\n' x y > urlfile; cat urlfile | parallel "test {} = x 2>/dev/null || grep -n {} urlfile"
mkdir m; echo a > m/1; echo b > m/2; find m -type f | parallel -m rm {} '&&' touch {}
echo x > x; printf '%s\n' x y z > file_list; cat file_list | parallel 'if [ ! -e {} ] ; then echo {}; fi'
touch 00:05; parallel [ -f {1}:{2} ] "||" echo {1}:{2} does not exist ::: {00..01} ::: {00..15..5}
doit() { echo Doing it for $1; sleep 0.1; echo Done with $1; }; export -f doit; parallel doit ::: 1 2 3
doubleit() { echo Doing it for $1 $2; echo Done with $1 $2; }; export -f doubleit; parallel doubleit ::: 1 2 3 ::: a b
tester() { if (eval "$@") >&/dev/null; then echo OK "$@"; else echo FAIL "$@"; fi; }; export -f tester; parallel tester exit ::: 1 0 2 0
mkdir d; touch d/x; tar -C d -cf a.tar x; rm -r d; parallel 'mkdir {.}; cd {.}; tar xf ../{}' ::: *.tar; rm a.tar
echo a | gzip -n > a.gz; parallel "zcat {} | cat >{.}.bz2 && rm {}" ::: *.gz
mkdir sounddir mydir; touch sounddir/{1,2}.wav; find sounddir -type f -name '*.wav' | parallel cp {} mydir/{/.}.mp3
mkdir d; touch d/x; tar -C d -czf a.tar.gz x; rm -r d; parallel --plus 'mkdir {..}; tar -C {..} -xf {}' ::: *.tar.gz; rm a.tar.gz
parallel --plus echo {%_demo} ::: mycode_demo keep_demo_here
parallel --plus echo {#demo_} ::: demo_mycode keep_demo_here
parallel --plus echo {/demo_/} ::: demo_mycode remove_demo_here
getit() { num=$2; echo wget https://www.example.com/path/to/${1}_${num}.jpg; }; export -f getit; parallel getit ::: $(seq 3) ::: $(seq -w 12)
url='http://x/?q={1}&r={2}'; parallel -j0 -q echo "$url" -O {1}_{2}.jpg ::: {0..2} ::: {0..3}
parallel eval echo {}_{0..3}.jpg line{}.jpg ::: {0..2}
parallel --header : echo x{X}y{Y}z{Z} \> x{X}y{Y}z{Z} ::: X {1..2} ::: Y {01..03} ::: Z {1..2}
mkdir d; touch d/{1,2}; tar czf foo.tgz d; tar tf foo.tgz | parallel echo; rm foo.tgz
printf '%s\n' a.x b.y > list; cat list | parallel "echo {} scale {.}.jpg ; cat <list" | sort
printf '%s\n' a b > xlist; printf '%s\n' c d > ylist; parallel echo {1} {2} :::: xlist ylist | sort
parallel echo {1} {2} ::: red green blue ::: S M L XL XXL | sort
echo a > A; echo b > B; parallel --tag 'diff {1} {2} | wc -l' ::: A B ::: A B | sort -nk3
parallel --header : echo {colour} {size} ::: colour red green blue ::: size S M L XL XXL
printf 'Name\tE-mail address\nA B\ta@x\n' > addressbook.tsv; cat addressbook.tsv | parallel --colsep '\t' --header : echo {Name} {E-mail address}
parallel --plus echo {choose_k} ::: A B C D ::: A B C D
parallel --plus echo {uniq} ::: A B C ::: A B C ::: A B C
printf '%s\n' aardvark babble cab dab > in.txt; parallel echo {1} - {2} ::::+ <(head -n -1 in.txt) <(tail -n +2 in.txt)
a=(aardvark babble cab dab); parallel echo {1} - {2} ::: "${a[@]::${#a[@]}-1}" :::+ "${a[@]:1}"
echo a > A; echo b > B; parallel --results diffcount "diff -U 0 {1} {2} | tail -n +3 |grep -v '^@'|wc -l" ::: A B ::: A B
seq -w 0 99 | parallel touch pict{}.jpg
seq -w 0 99 | parallel -X touch pict{}.jpg
ARR=("My brother's 12\" records are worth <\$\$\$>"'!' Foo Bar); parallel echo ::: ${ARR[@]}
ARR=("My brother's 12\" records are worth <\$\$\$>"'!' Foo Bar); parallel echo ::: "${ARR[@]}"
VAR="My brother's 12\" records are worth <\$\$\$>"; parallel -q echo "$VAR" ::: '!'
export VAR="My brother's 12\" records are worth <\$\$\$>"; parallel echo '"$VAR"' ::: '!'
VAR="My 12\" records are worth <\$\$\$>"; parallel echo "'$VAR'" ::: '!'
export VAR="My brother's 12\""; myfunc() { echo "$VAR" "$1"; }; export -f myfunc; parallel myfunc ::: '!'
cat abc-file | parallel -k echo {} append_string
seq 0 9 | parallel -k echo {}0000000-{}9999999
echo STRING > s; find . -name 's' -type f | parallel -k -j150% -n 1000 -m grep -H -n STRING {}
touch foo.es.ext; ls *.es.* | perl -pe 'print; s/\.es//' | parallel -N2 cp {1} {2}
parallel -k echo ::: 0 1 ::: 0 1 ::: 0 1 ::: 0 1 ::: 0 1 ::: 0 1
parallel --link -a <(seq 6) -a <(seq 6 -1 1) echo
parallel --link echo :::: <(seq 6) <(seq 6 -1 1)
touch {a,b}.x; find . -name '*.x' -type f | sort | parallel cp {} {#}.png
printf 'foo\tbar\nbaz \t quux\n' > table_file.tsv; parallel -a table_file.tsv --colsep '\t' echo -o {2} -i {1}
printf 'foo\tbar\nbaz \t quux\n' > table_file.tsv; parallel -a table_file.tsv --trim n --colsep '\t' echo -o {2}x -i {1}x
seq 10 | parallel -n0 echo my_args
printf '%s\n' 'echo 1' 'echo "a b" | wc -w' 'false' > jobs_to_run; parallel -j 100 < jobs_to_run
seq 5 > a; seq 3 7 > b; printf '%s\n' a b | parallel -Xj1 sort -m {} ';' rm {}
printf '%s\n' 'echo my_command my_arg' > jobqueue; cat jobqueue | parallel
parallel --tag --line-buffer echo ::: a b
parallel sh -c '"echo $0"' ::: This is a good idea
cat num30000 | parallel --pipe --recend '' -k gzip -n -9 > bigfile.gz; gunzip bigfile.gz
seq 10 | sed 's/^/echo job /' | parallel --pipe --block 1M sh
parallel --pipe-part -a num30000 --block 1M grep -F -n 77 | sort -un | tail -2
parallel --pipe-part --block 1M -a num30000 -k grep 77 | tail -2
"""

BLOCKS = r"""
cat num30000 | parallel --pipe wc -l
cat num30000 | parallel --pipe --block 10k cat
cat num8 | parallel --pipe --block 4 wc -l
cat num30000 | parallel -k --pipe -N7000 wc -l
cat num30000 | parallel -k --pipe -n 7000 wc -l
seq 10 | parallel -k --pipe -L3 wc -l
seq 10 | parallel -k --pipe -L2 -N3 wc -l
cat num30000 | parallel -k --pipe -L75 wc -l
cat num30000 | parallel --pipe -L4 --block 20k cat | sort -n | md5sum
(echo head; seq 10) | parallel -k --header : --pipe -L4 cat
(echo %head1; seq 10) | parallel -k --header : --pipe -N3 echo JOB{#}\;cat
parallel -k --header : --pipepart -a num30000 --block -1 -j1 wc -l
parallel --pipepart --block 1M wc :::: num30000
parallel --pipepart -a num30000 --block -1 -j2 cat | sort -n | md5sum
printf '>a\nAC\nGT\n>b\nC\n' | parallel -k --pipe -N1 --recstart '>' 'read a; echo Name: "$a"; tr -d "\n"'
"""

MANUAL = r"""
(echo file1; echo file2) | parallel echo gzip
parallel --arg-sep ,, echo gzip {} ,, file1 file2
parallel ::: "echo gzip file1" "echo gzip file2"
parallel echo {1} {2} {3} ::: 6 7 ::: 4 5 ::: 1 2 3
parallel echo {1} {2} {3} :::: <(seq 6 7) <(seq 4 5) :::: <(seq 1 3)
parallel -a <(seq 6 7) echo {1} {2} {3} :::: <(seq 4 5) :::: <(seq 1 3)
parallel -a <(seq 6 7) -a <(seq 4 5) echo {1} {2} {3} ::: 1 2 3
seq 6 7 | parallel -a - -a <(seq 4 5) echo {1} {2} {3} ::: 1 2 3
seq 4 5 | parallel echo {1} {2} {3} :::: <(seq 6 7) - ::: 1 2 3
parallel echo ::: a b c :::+ 1 2 3 ::: X Y :::+ 11 22
parallel --colsep '-' echo {4} {3} {2} {1} ::: A-B C-D ::: e-f g-h
echo '"1 big, 2 small","2""x4"" plank",12.34' | parallel --colsep ',' echo {1} of {2} at {3}
parallel -j4 -k sleep 0.{}\; echo {} ::: 2 1 4 3
parallel -j0 --lb 'echo {};sleep 0.{};echo {}' ::: 1 3 2 4
parallel -j0 -k --lb 'echo {};sleep 0.{};echo {}' ::: 1 3 2 4
parallel --link echo {1} {2} ::: 1 2 3 ::: a b c
parallel --link echo {1} {2} {3} ::: 1 2 ::: I II III ::: a b c d e f g
head -3 /etc/passwd | tr ':' '\n' | parallel -N7 echo {1} {6}
parallel --header : --results foo echo {a} {b} ::: a I II ::: b III IIII
parallel --results foo echo {1} {2} ::: I II ::: III IIII
parallel --joblog log -j1 'exit {}' ::: 2 1 0; parallel --resume --joblog log -j1 'exit {}' ::: 2 1 0 3; cut -f1,7-9 log; rm log
parallel -k 'echo $PARALLEL_SEQ {}' ::: a b c
parallel 'exit {}' ::: 0 1 2 3
parallel false ::: {1..105}
parallel -j1 --halt 2 'exit {}' ::: 0 7 0
parallel --trim rl 'echo {}x' ::: ' a ' 'b  '
parallel -L2 echo :::: abc-file
seq 3 | parallel -j1 --process-slot-var=name echo '$name' {}
parallel -j2 --process-slot-var name 'sleep 1; echo $name' ::: a b
parallel --shellquote ::: 'a b' 'c*' d "it's"
parallel --shellquote echo '$HOME' {} ::: 'a b'
"""

PERL = "fantail runs no Perl"
LIMITS = "a command line has up to 131,072 bytes, in GNU parallel half of that"
TERMINAL = "a command cannot use the terminal"
SAVED = "`--results` writes the files"

# The reasons why the other examples differ.
DIFFERENT = {reason: lines(examples) for reason, examples in {
    PERL: r"""
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
parallel echo '{=2 s:\.[^.]+$::;s:\.[^.]+$::; =} {1}' ::: bar ::: foo.tar.gz
touch ab cd; parallel 'mkdir -p dir{=s/(.).*/$1/=}; mv {} dir{=s/(.).*/$1/=}' ::: ab cd
touch log.1 log.2; seq 2 -1 1 | parallel -j1 mv log.{} log.'{= $_++ =}'
parallel -k echo {1}'{=3 $_=$_%2?":":" "=}'{2}{3} ::: {0..2} ::: {0..5} ::: {0..9}
seq 10 | parallel echo {} + 1 is {= '$_++' =}
parallel --filter '{1} < {2}+1' echo ::: {1..3} ::: {1..3}
""",
    TERMINAL: r"""
echo y | parallel --interactive echo ::: 1
parallel --tty echo ::: 1 2 3
""",
    "a block has no more bytes than `--block`; GNU parallel adds the incomplete record at the end of the block before": r"""
cat num30000 | parallel --pipe --block 64K wc
""",
    "a block is a file, for which wc makes narrower columns": r"""
cat num30000 | parallel --pipe wc
cat num30000 | parallel --pipe --block 2M wc
cat num30000 | parallel --pipe -N7000 wc
cat num30000 | parallel --pipe -L75 wc
""",
    "a header is a number of lines or of bytes": r"""
(echo %head1; echo %head2; seq 10) | parallel --header '(%.*\n)*' --pipe -N3 echo JOB{#}\;cat
""",
    "a new command runs for each block": r"""
cat num30000 | parallel --pipe -j2 --roundrobin wc
cat num30000 | parallel --pipe --cat -j1 --block 1M wc {} | cut -c1-20
cat num30000 | parallel --pipe -j2 --shard 1 wc
""",
    "the texts between records are plain, and stay in the block": r"""
echo foo,bar,_baz,__qux, | parallel -kN1 --regexp --recend ,_+ --pipe echo JOB{#}\;cat\;echo END
echo foo,bar,_baz,__qux, | parallel -kN1 --rrs --regexp --recend ,_+ --pipe echo JOB{#}\;cat\;echo END
printf '>a\nAC\nGT\n>b\nC\n' | parallel --pipe -N1 --recstart '>' --rrs 'read a; echo Name: "$a"; tr -d "\n"'
""",
    SAVED: r"""
parallel --files echo ::: A B C | wc -l
parallel --tmpdir . --files echo ::: A B C | wc -l
""",
    "`{choose_k}` and `{uniq}` are not supported": r"""
parallel --plus echo {choose_k} ::: A B C D ::: A B C D
parallel --plus echo {uniq} ::: A B C ::: A B C ::: A B C
""",
    "`--resume-failed`, with the command, does the same": r"""
parallel --joblog log exit ::: 1 0; parallel --retry-failed --joblog log; cut -f1,7-9 log; rm log
""",
    "the number of jobs is given with `-j`": r"""
parallel --use-cpus-instead-of-cores -N0 sleep 0.1 :::: num8
""",
    "a command is ended with SIGKILL": r"""
echo | parallel --termseq INT,200,TERM,100,KILL,25 -u --timeout 1 'trap "echo Got INT; exit" INT; sleep 3 & wait'
""",
    LIMITS: r"""
cat num30000 | parallel --xargs echo | wc -l
cat num30000 | parallel --jobs 4 -m echo | wc -l
""",
    "GNU parallel does not find a name with a space": r"""
printf 'Name\tE-mail address\nA B\ta@x\n' > addressbook.tsv; cat addressbook.tsv | parallel --colsep '\t' --header : echo {Name} {E-mail address}
""",
}.items()}


def reasons():
    """Returns {example: why it differs}."""
    return {example: reason for reason, examples in DIFFERENT.items() for example in examples}


SAME = [example for example in lines(BLOCKS) + lines(EXAMPLES) + lines(MANUAL) if example not in reasons()]


def row(example, reason):
    return "| `{}` | {} |".format(example.replace("|", "\\|"), reason)


def table():
    """Returns the rows of the table in docs/parallel.md."""
    return [row(example, reason) for example, reason in reasons().items()]


if __name__ == "__main__":
    print("\n".join(table()))

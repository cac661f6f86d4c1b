//! Ordinary commands, as agents write them.

use crate::check;

#[test]
fn programs_files_and_hosts_are_named() {
    check(&[
        ("", ""),
        ("# nothing", ""),
        ("ls", "ls | read"),
        ("ls -la src", "ls | read | /w/src"),
        ("/bin/ls", "ls | read"),
        ("./ls", "ls | execute read"),
        ("cat a b/../c", "cat | read | /w/a /w/c"),
        ("cat 'a b' \"c d\"", "cat | read | /w/a b /w/c d"),
        ("rm -rf build", "rm | delete |  | /w/build"),
        ("rm -- -f", "rm | delete |  | /w/-f"),
        ("cp a b c", "cp | read write | /w/a /w/b | /w/c"),
        ("cp -t d a", "cp | read write |  | /w/a /w/d"),
        ("mv a /tmp/b", "mv | delete read write | /tmp/b /w/a | /tmp/b /w/a"),
        ("mkdir -p -m 755 a/b", "mkdir | write |  | /w/a/b"),
        ("chmod +x run.sh", "chmod | privilege write |  | /w/run.sh"),
        ("ln -s a b", "ln | write | /w/a /w/b | /w/a /w/b"),
        ("tee -a log", "tee | write |  | /w/log"),
        ("dd if=/dev/zero of=disk", "dd | read write |  | /w/disk"),
        ("head -n 5 f", "head | read | /w/f"),
        ("tail -5 f", "tail | read | /w/f"),
        ("grep -rn fn src", "grep | read | /w/src"),
        ("grep -e fn -e pub src", "grep | read | /w/src"),
        ("sed -n 5p f", "sed | read | /w/f"),
        ("sed -i s/a/b/ f", "sed | read write | /w/f | /w/f"),
        ("sed -i.bak s/a/b/ f", "sed | read write | /w/f | /w/f"),
        ("awk '{print $1}' f", "awk | read | /w/f"),
        ("sort -o out in", "sort | read write | /w/in | /w/out"),
        ("touch ~/x", "touch | write |  | ~/x"),
        ("touch $HOME/x", "touch | write |  | ~/x"),
        ("cat src/*.rs", "cat | read | /w/src/*.rs"),
        ("cargo test", "cargo test | execute write"),
        ("make", "make | execute"),
        ("python x.py", "python | execute"),
        ("git", "git"),
    ]);
}

#[test]
fn subcommands_decide_what_a_program_risks() {
    check(&[
        ("git status", "git status | read"),
        ("git commit -m 'x'", "git commit | write"),
        ("git push --force", "git push | network push"),
        ("git -C /x push", "git push | network push"),
        ("git --no-pager log", "git log | read"),
        ("git frobnicate", "git frobnicate | execute"),
        ("git clone git@github.com:a/b", "git clone | network write |  |  | github.com"),
        ("gh pr list", "gh pr | network"),
        ("gh pr --repo a/b create", "gh pr | communication network push"),
        ("gh auth token", "gh auth | credentials network"),
        ("npm publish", "npm publish | execute network push"),
        ("docker push a/b", "docker push | execute network push"),
        ("terraform destroy", "terraform destroy | delete execute network"),
        ("aws iam create-user", "aws iam | credentials network privilege"),
        ("stripe charges create", "stripe | money network"),
        ("curl https://Example.com/a", "curl | network |  |  | example.com"),
        ("curl -o f example.com", "curl | network write |  | /w/f | example.com"),
        ("curl \"https://a.com/$id\"", "curl | network |  |  | a.com"),
        // A variable can hold a flag, so it has the risks of every flag.
        ("curl \"$url\"", "curl | credentials execute network read write |  |  | *"),
        ("echo https://a.com", "echo"),
        ("ssh me@host 'rm x'", "ssh | execute network |  |  | host"),
    ]);
}

#[test]
fn the_grammar_is_walked() {
    check(&[
        ("a=1", ""),
        ("X=1 ls", "ls | read"),
        ("ls && rm a", "ls, rm | delete read |  | /w/a"),
        ("ls || rm a; pwd", "ls, pwd, rm | delete read |  | /w/a"),
        ("ls | wc -l", "ls, wc | read"),
        ("ls & pwd", "ls, pwd | read"),
        ("(ls; pwd)", "ls, pwd | read"),
        ("{ ls; pwd; }", "ls, pwd | read"),
        ("! ls", "ls | read"),
        ("echo a > f", "echo | write |  | /w/f"),
        ("echo a >> f 2>&1", "echo | write |  | /w/f"),
        ("ls 2>/dev/null", "ls | read"),
        ("ls &> f", "ls | read write |  | /w/f"),
        ("> f", " | write |  | /w/f"),
        ("wc -l < f", "wc | read | /w/f"),
        ("> f rm a", "rm | delete write |  | /w/a /w/f"),
        ("echo > f a b", "echo | write |  | /w/f"),
        ("echo $(rm a)", "echo, rm | delete |  | /w/a"),
        ("echo `rm a`", "echo, rm | delete |  | /w/a"),
        ("echo \"x $(rm a) y\"", "echo, rm | delete |  | /w/a"),
        ("echo ${x:-$(rm a)}", "echo, rm | delete |  | /w/a"),
        ("wc <(rm a)", "rm, wc | delete read |  | /w/a"),
        ("ls > >(tee f)", "ls, tee | read write |  | /w/f"),
        ("a=$(rm a)", "rm | delete |  | /w/a"),
        ("export A=$(rm a)", "export, rm | delete |  | /w/a"),
        ("if true; then rm a; else pwd; fi", "pwd, rm, true | delete |  | /w/a"),
        ("for f in a b; do pwd; done", "pwd"),
        ("while true; do rm a; done", "rm, true | delete |  | /w/a"),
        ("case $x in a) ls;; *) rm a;; esac", "ls, rm | delete read |  | /w/a"),
        ("f() { rm a; }", "rm | delete |  | /w/a"),
        ("[[ -f a && -n $x ]]", ""),
        ("[ -f a ] && pwd", "pwd"),
        ("echo $((1 + 2))", "echo"),
        ("echo $((x + 2))", "echo | execute"),
        ("echo \"$GITHUB_TOKEN\"", "echo | credentials"),
        ("cat <<E\nrm a\nE", "cat | read"),
        ("cat <<E\n$(rm a)\nE", "cat, rm | delete read |  | /w/a"),
        ("cat <<'E'\n$(rm a)\nE", "cat | read"),
        ("cat <<E && rm a\nx\nE", "cat, rm | delete read |  | /w/a"),
        ("git commit -m \"$(cat <<'E'\nit's\nE\n)\"", "cat, git commit | read write"),
    ]);
}

#[test]
fn a_change_of_folder_moves_what_follows() {
    check(&[
        ("cd a && rm b", "cd, rm | delete |  | /w/a/b"),
        ("cd /x && cd y && rm b", "cd, rm | delete |  | /x/y/b"),
        ("cd a; rm b", "cd, rm | delete |  | /w/a/b /w/b"),
        ("cd a || rm b", "cd, rm | delete |  | /w/a/b /w/b"),
        ("(cd a); rm b", "cd, rm | delete |  | /w/b"),
        ("cd a | rm b", "cd, rm | delete |  | /w/b"),
        ("cd .. && rm b", "cd, rm | delete |  | /b"),
        ("cd && rm b", "cd, rm | delete |  | ~/b"),
        ("cd $x && rm /b", "cd, rm | delete |  | /b"),
        ("cd $x && rm b", "cd, rm | credentials delete execute network privilege |  | b"),
        ("cd /etc && echo x > passwd", "cd, echo | privilege write |  | /etc/passwd"),
    ]);
}

#[test]
fn wrappers_hand_on_to_what_they_run() {
    check(&[
        ("sudo rm a", "rm, sudo | delete privilege |  | /w/a"),
        ("sudo -u me -n rm a", "rm, sudo | delete privilege |  | /w/a"),
        ("sudo -i", "sudo | execute privilege"),
        ("env", "env | credentials"),
        ("env -i X=1 git push", "env, git push | network push"),
        ("env -i sh -c \"git push\"", "env, git push, sh | network push"),
        ("timeout -k 5 10 rm a", "rm, timeout | delete |  | /w/a"),
        ("nohup nice -n 5 rm a", "nice, nohup, rm | delete |  | /w/a"),
        ("time -p ls", "ls, time | read"),
        ("command -v git", "command"),
        ("exec rm a", "exec, rm | delete |  | /w/a"),
        ("sh -c 'rm a; pwd'", "pwd, rm, sh | delete |  | /w/a"),
        ("bash -lc 'rm a'", "bash, rm | delete |  | /w/a"),
        ("bash -e -c 'sh -c \"rm a\"'", "bash, rm, sh | delete |  | /w/a"),
        ("sh run.sh", "sh | execute read | /w/run.sh"),
        ("sh", "sh | execute"),
        ("eval 'rm a'", "eval, rm | delete |  | /w/a"),
        ("eval cd x '&&' rm a", "cd, eval, rm | delete |  | /w/x/a"),
        ("watch -n 5 'rm a'", "rm, watch | delete |  | /w/a"),
        ("find . -name '*.o'", "find | read | /w"),
        ("find a b -delete", "find | delete read | /w/a /w/b | /w/a /w/b"),
        ("find . -exec git push \\;", "find, git push | network push read | /w"),
        ("xargs -0 rm", "rm, xargs | credentials delete execute network privilege |  | *"),
    ]);
}

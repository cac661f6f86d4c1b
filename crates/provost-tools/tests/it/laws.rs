//! What holds for every call.

use std::collections::BTreeSet;

use proptest::prelude::*;
use provost_tools::{Effects, Risk, effects};

use crate::{CWD, bash};

/// Text that looks like a script more often than chance would have it.
fn scripts() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("rm "),
        Just("git push"),
        Just("$("),
        Just(")"),
        Just("`"),
        Just("\""),
        Just("'"),
        Just("; "),
        Just(" && "),
        Just(" | "),
        Just("<<E\n"),
        Just("\nE\n"),
        Just("> f "),
        Just("cd x"),
        Just("sh -c "),
        Just("xargs "),
        Just("find . -exec "),
        Just("{a,b}"),
        Just("$x"),
        Just("${x:-"),
        Just("}"),
        Just("[["),
        Just("]]"),
        Just("(("),
        Just("))"),
        Just("if "),
        Just("then "),
        Just("fi"),
        Just("for x in "),
        Just("do "),
        Just("done"),
        Just("*"),
        Just("~"),
        Just("\\"),
        Just("é"),
        Just("\n"),
        Just("sudo -u "),
        Just("eval "),
    ];
    prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
}

/// Commands that are understood, and do not change the folder.
fn commands() -> impl Strategy<Value = String> {
    let program = prop_oneof![
        Just("rm"),
        Just("cat"),
        Just("git push"),
        Just("sed -i s/a/b/"),
        Just("frob"),
        Just("sudo cp"),
        Just("sh -c 'mv a b'"),
        Just("curl https://a.com"),
        Just("xargs rm"),
    ];
    (program, prop::collection::vec("[a-z./]{1,8}", 0..3), prop_oneof![Just(""), Just(" > o")])
        .prop_map(|(program, words, end)| format!("{program} {}{end}", words.join(" ")))
}

fn union<T: Ord + Clone>(one: &[T], two: &[T]) -> Vec<T> {
    let all: BTreeSet<T> = one.iter().chain(two).cloned().collect();
    all.into_iter().collect()
}

fn is_ordered(effects: &Effects) -> bool {
    let lists =
        [&effects.programs, &effects.commands, &effects.reads, &effects.writes, &effects.hosts];
    lists.iter().all(|list| list.is_sorted_by(|one, two| one < two))
        && effects.risks.is_sorted_by(|one, two| one < two)
        && (effects.parsed || effects.risks == Risk::ALL)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_have_effects(name in ".{0,12}", input in prop::collection::vec(any::<u8>(), 0..64)) {
        prop_assert!(is_ordered(&effects(&name, &input, None)));
        prop_assert!(!effects("Bash", &input, Some(CWD)).parsed);
    }

    #[test]
    fn any_script_has_effects(script in "\\PC{0,60}") {
        prop_assert!(is_ordered(&bash(&script)));
    }

    #[test]
    fn any_likely_script_has_effects(script in scripts()) {
        prop_assert!(is_ordered(&bash(&script)));
    }

    #[test]
    fn a_comment_changes_nothing(script in commands(), comment in "[ -~]{0,20}") {
        prop_assert_eq!(bash(&script), bash(&format!("{script} # {comment}")));
    }

    #[test]
    fn quoting_a_word_changes_nothing(program in "[a-z]{1,6}", word in "[a-z./_-]{1,10}") {
        let plain = bash(&format!("{program} {word}"));
        prop_assert_eq!(&plain, &bash(&format!("{program} '{word}'")));
        prop_assert_eq!(&plain, &bash(&format!("\"{program}\" \"{word}\"")));
        prop_assert_eq!(&plain, &bash(&format!("\\{program} \"\"{word}")));
    }

    #[test]
    fn two_commands_do_what_each_does(one in commands(), two in commands()) {
        let (first, second) = (bash(&one), bash(&two));
        prop_assert!(first.parsed && second.parsed, "{one} and {two}");
        let both = bash(&format!("{one} ; {two}"));
        prop_assert_eq!(both, Effects {
            programs: union(&first.programs, &second.programs),
            commands: union(&first.commands, &second.commands),
            risks: union(&first.risks, &second.risks),
            reads: union(&first.reads, &second.reads),
            writes: union(&first.writes, &second.writes),
            hosts: union(&first.hosts, &second.hosts),
            parsed: true,
        });
    }
}

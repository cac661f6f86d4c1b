//! What a tool call would do: whatever the bytes, an answer, and the laws of
//! `crates/provost-tools/tests/it/laws.rs`.
//!
//! `j…` is the JSON input of a call as it stands; `c…` two simple commands; anything else a
//! script.

#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use provost_tools::{Effects, Risk, effects};
use serde_json::json;

/// Where the calls run, where that is known.
const FOLDER: &str = "/w";

/// Tools that read their input in different ways.
const TOOLS: &[&str] = &["Bash", "Read", "Write", "Glob", "WebFetch", "mcp__x__y"];

/// Commands that are understood, and do not change the folder.
const COMMANDS: &[&str] = &[
    "rm",
    "cat",
    "git push",
    "sed -i s/a/b/",
    "frob",
    "sudo cp",
    "sh -c 'mv a b'",
    "curl https://a.com",
    "xargs rm",
];

/// What plain words are made of.
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz._-/";

fuzz_target!(|bytes: &[u8]| match bytes.split_first() {
    Some((b'j', input)) => check_input(input),
    Some((b'c', choices)) => check_commands(choices),
    _ => check_script(&String::from_utf8_lossy(bytes)),
});

fn check_input(input: &[u8]) {
    let is_object =
        serde_json::from_slice::<serde_json::Value>(input).is_ok_and(|json| json.is_object());
    for folder in [None, Some(FOLDER)] {
        for tool in TOOLS {
            let found = effects(tool, input, folder);
            assert!(is_ordered(&found), "{tool}: {found:?}");
            assert!(is_object || !found.parsed, "{tool} understood what is no object");
        }
    }
}

fn check_script(script: &str) {
    let here = bash(script, Some(FOLDER));
    let anywhere = bash(script, None);
    assert!(is_ordered(&here), "{here:?}");
    assert!(is_ordered(&anywhere), "{anywhere:?}");
    // Where it runs says which files are meant, not what runs.
    let told = |found: &Effects| {
        (found.parsed, found.programs.clone(), found.commands.clone(), found.hosts.clone())
    };
    assert_eq!(told(&here), told(&anywhere));
    // Here-documents and continued lines reach into the next line.
    if here.parsed && !script.contains("<<") && !script.ends_with('\\') {
        assert_eq!(here, bash(&format!("{script}\n# rm -rf /"), Some(FOLDER)), "a comment");
    }
}

fn check_commands(choices: &[u8]) {
    let (one, rest) = command(choices);
    let (two, rest) = command(rest);
    let (first, second) = (bash(&one, Some(FOLDER)), bash(&two, Some(FOLDER)));
    assert!(first.parsed && second.parsed, "{one} and {two}");
    let both = Effects {
        programs: union(&first.programs, &second.programs),
        commands: union(&first.commands, &second.commands),
        risks: union(&first.risks, &second.risks),
        reads: union(&first.reads, &second.reads),
        writes: union(&first.writes, &second.writes),
        hosts: union(&first.hosts, &second.hosts),
        parsed: true,
    };
    assert_eq!(bash(&format!("{one} ; {two}"), Some(FOLDER)), both);

    let comment: String =
        rest.iter().map(|byte| char::from(byte % 95 + b' ')).take(20).collect();
    assert_eq!(first, bash(&format!("{one} # {comment}"), Some(FOLDER)));

    let program = word(rest.get(..6).unwrap_or(rest), LETTERS.get(..26).unwrap_or_default());
    let argument = word(rest.get(6..16).unwrap_or(rest), LETTERS);
    let plain = bash(&format!("{program} {argument}"), Some(FOLDER));
    for quoted in [
        format!("{program} '{argument}'"),
        format!("\"{program}\" \"{argument}\""),
        format!("\\{program} \"\"{argument}"),
    ] {
        assert_eq!(plain, bash(&quoted, Some(FOLDER)), "{quoted}");
    }
}

/// A command that the first bytes choose, and the other bytes.
fn command(choices: &[u8]) -> (String, &[u8]) {
    let at = |index: usize| choices.get(index).copied().unwrap_or_default();
    let program = COMMANDS.get(usize::from(at(0)) % COMMANDS.len()).copied().unwrap_or("rm");
    let words = usize::from(at(1)) % 3;
    let mut rest = choices.get(2..).unwrap_or_default();
    let mut command = program.to_owned();
    for _ in 0..words {
        let (letters, others) = rest.split_at(rest.len().min(8));
        command = format!("{command} {}", word(letters, LETTERS));
        rest = others;
    }
    if at(1) & 128 != 0 {
        command.push_str(" > o");
    }
    (command, rest)
}

/// A word of these letters; at least one.
fn word(choices: &[u8], letters: &[u8]) -> String {
    let letter = |byte: &u8| {
        char::from(letters.get(usize::from(*byte) % letters.len()).copied().unwrap_or(b'a'))
    };
    let word: String = choices.iter().map(letter).collect();
    if word.is_empty() { "a".to_owned() } else { word }
}

fn bash(script: &str, folder: Option<&str>) -> Effects {
    let input = json!({ "command": script }).to_string();
    effects("Bash", input.as_bytes(), folder)
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

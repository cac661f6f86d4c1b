//! The parts that do no I/O.

use std::time::Duration;

use proptest::prelude::*;
use secrecy::SecretString;

use super::{
    LineError, Program, ProgramLimits, ProgramSpec, Resources, Restarts,
    lines::Splitter,
    stderr::{Excerpt, Excerpts, LOG_LINE_BYTES_MAX, Quota, Secrets},
};

fn spec() -> ProgramSpec {
    ProgramSpec {
        name: "tools".to_owned(),
        program: "/bin/cat".into(),
        arguments: Vec::new(),
        folder: "/".into(),
        home: "/".into(),
        environment: Vec::new(),
        limits: ProgramLimits::default(),
    }
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn limits(resources: Resources) -> ProgramLimits {
    ProgramLimits { resources, ..ProgramLimits::default() }
}

#[test]
fn what_could_not_be_started_as_it_is_meant_is_refused_beforehand() {
    let with = |pairs| ProgramSpec { environment: variables(pairs), ..spec() };
    for (spec, want) in [
        (spec(), ""),
        (ProgramSpec { program: "cat".into(), ..spec() }, ""),
        (
            ProgramSpec { program: "bin/cat".into(), ..spec() },
            "the program must be an absolute",
        ),
        (ProgramSpec { program: "".into(), ..spec() }, "the program must be an absolute path"),
        (
            ProgramSpec { program: "..".into(), ..spec() },
            "the program must be an absolute path",
        ),
        (
            ProgramSpec { folder: "work".into(), ..spec() },
            "the folder must be an absolute path",
        ),
        (
            ProgramSpec { home: "~".into(), ..spec() },
            "the home folder must be an absolute path",
        ),
        (ProgramSpec { arguments: vec!["a\0".into()], ..spec() }, "an argument must not hold"),
        (with(&[("LANG", "de_DE.UTF-8"), ("_x1", "")]), ""),
        (with(&[("A.B", "1")]), "\"A.B\" cannot be set"), // shells drop it
        (with(&[("1A", "1")]), "\"1A\" cannot be set"),
        (with(&[("", "1")]), "\"\" cannot be set"),
        (with(&[("PWD", "/")]), "\"PWD\" cannot be set"), // shells set it
        (with(&[("A", "\0")]), "a variable's value must not hold"),
        (with(&[("A", "1"), ("B", "1"), ("A", "2")]), "the variable A is set twice"),
        (
            ProgramSpec {
                limits: ProgramLimits { line_bytes_max: 0, ..limits(Resources::default()) },
                ..spec()
            },
            "the limit on a line's length must be 1 to 268435456",
        ),
        (
            ProgramSpec {
                limits: limits(Resources { open_files: Some(3), ..Resources::default() }),
                ..spec()
            },
            "the limit on open files must be 16",
        ),
    ] {
        let shown = format!("{spec:?}");
        let got = Program::new(spec).err().map_or(String::new(), |error| error.to_string());
        assert!(got.starts_with(want) && got.is_empty() == want.is_empty(), "{got}: {shown}");
    }
}

/// Lines, and how it ended.
fn split(pieces: &[&[u8]], line_bytes_max: usize) -> (Vec<Vec<u8>>, String) {
    let (mut splitter, mut lines) = (Splitter::new(line_bytes_max), Vec::new());
    for piece in pieces {
        splitter.buffer.extend_from_slice(piece);
        loop {
            match splitter.next() {
                Ok(Some(line)) => lines.push(line.to_vec()),
                Ok(None) => break,
                Err(error @ LineError::TooLong { .. }) => return (lines, error.to_string()),
                Err(error) => panic!("{error}"),
            }
        }
    }
    (lines, splitter.clear().to_string())
}

#[test]
fn output_is_cut_at_line_breaks() {
    let too_long = "the program sent a line longer than 4 bytes";
    for (output, want, end) in [
        ("", &[][..], "0"),
        ("a\nbc\n", &["a", "bc"], "0"),
        ("a\n\n\nb\n", &["a", "b"], "0"), // empty lines say nothing
        ("a\r\n", &["a\r"], "0"),         // whose white space it is, is not known here
        ("a\nbc", &["a"], "2"),
        ("abcd\n", &["abcd"], "0"),
        ("a\nabcde\nb\n", &["a"], too_long),
        ("a\nabcde", &["a"], too_long), // without waiting for its end
    ] {
        let got = split(&[output.as_bytes()], 4);
        let want: Vec<Vec<u8>> = want.iter().map(|line| line.as_bytes().to_vec()).collect();
        assert_eq!(got, (want, end.to_owned()), "{output:?}");
    }
}

proptest! {
    #[test]
    fn lines_are_the_same_however_they_come(
        output in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..200),
        cuts in proptest::collection::vec(1usize..40, 1..20),
    ) {
        let (mut pieces, mut rest, mut next) = (Vec::new(), &output[..], cuts.iter().cycle());
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at((*next.next().unwrap()).min(rest.len()));
            pieces.push(piece);
            rest = behind;
        }
        prop_assert_eq!(split(&pieces, 16), split(&[&output], 16));
    }

    #[test]
    fn a_program_that_ends_is_never_started_without_a_pause_and_never_kept_for_long(
        runs in proptest::collection::vec((0u64..200_000, 0u64..60_000), 1..40),
    ) {
        let (mut restarts, mut now) = (Restarts::default(), Duration::ZERO);
        let pass = |now: &mut Duration, time| *now = now.saturating_add(time);
        let mut short_in_a_row = 0_usize;
        for (ran, rested) in runs {
            if let Err(too_soon) = restarts.may_start(now) {
                pass(&mut now, too_soon.after);
                prop_assert!(restarts.may_start(now).is_ok(), "once it was waited for");
            }
            restarts.started(now);
            pass(&mut now, Duration::from_millis(ran));
            restarts.ended(now);
            short_in_a_row = if ran >= 60_000 { 0 } else { short_in_a_row.saturating_add(1) };
            let pause = restarts.may_start(now).err().map(|too_soon| too_soon.after);
            let pauses = [0, 500, 1000, 2000, 4000, 8000, 16_000];
            let want = pauses.get(short_in_a_row).copied().unwrap_or(30_000);
            prop_assert_eq!(pause.unwrap_or_default(), Duration::from_millis(want));
            pass(&mut now, Duration::from_millis(rested));
        }
    }
}

#[test]
fn a_pause_is_told_in_whole_seconds_rounded_up() {
    let mut restarts = Restarts::default();
    restarts.ended(Duration::ZERO); // could not be started at all
    let told =
        |now| restarts.may_start(Duration::from_millis(now)).map_err(|it| it.to_string());
    let want =
        "it ended soon after its last start, and is not started again before 1 s have passed";
    assert_eq!((told(0), told(499), told(500)), (Err(want.into()), Err(want.into()), Ok(())));
}

#[test]
fn of_a_flood_of_complaints_a_second_has_twenty_and_the_rest_is_counted() {
    let mut quota = Quota::default();
    for (asked, want, unlogged) in [(3, 3, 0), (20, 20, 0), (1000, 20, 980), (0, 0, 0)] {
        assert!(quota.is_fresh());
        let logged = (0..asked).filter(|_| quota.take()).count();
        assert_eq!((logged, quota.renew()), (want, unlogged), "asked for {asked}");
    }
}

#[test]
fn of_a_long_complaint_the_beginning_is_kept() {
    let (mut excerpts, mut got) = (Excerpts::default(), Vec::new());
    let long = "x".repeat(LOG_LINE_BYTES_MAX + 1);
    for piece in ["one\n\ntw", "o\n", &long, &long, "\nthree", ""] {
        excerpts.push(piece.as_bytes(), |excerpt| {
            got.push(match excerpt {
                Excerpt::Whole(line) => String::from_utf8_lossy(line).into_owned(),
                Excerpt::Beginning(line) => format!("{} of more", line.len()),
            });
        });
    }
    assert_eq!(got, ["one", "two", "4096 of more", "three"]);
}

#[test]
fn secrets_and_what_writes_to_a_terminal_are_left_out_of_complaints() {
    let secrets: Vec<_> =
        [("KEY", "pässword"), ("LONG", "pässword-2"), ("PEM", "begin\nabcd\n\n")]
            .map(|(name, value)| (name.to_owned(), SecretString::from(value)))
            .into();
    let secrets = Secrets::new(&secrets);
    for (excerpt, want) in [
        (Excerpt::Whole("bad key pässword!".as_bytes()), "bad key [KEY]!"),
        (Excerpt::Whole("pässword-2 pässword".as_bytes()), "[LONG] [KEY]"),
        (Excerpt::Whole(b"abcd"), "[PEM]"), // each line of it
        (Excerpt::Whole(b"\x1b[31mred\x1b[0m\r"), " [31mred [0m "),
        (Excerpt::Whole(b"a\xffb"), "a\u{fffd}b"),
        // Cut within a secret, and after one.
        (Excerpt::Beginning("it is long, and says pässwor".as_bytes()), "it is long, an…"),
        (Excerpt::Beginning("KEY=pässword and it says more".as_bytes()), "KEY=[KEY] a…"),
    ] {
        let got = secrets.hide(excerpt);
        assert!(!got.contains("pässw"), "{got}");
        assert_eq!(got, want);
    }
}

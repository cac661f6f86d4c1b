//! `approvers.toml` and the annotations of gates: what is read, and what is refused.

use std::time::Duration;

use insta::assert_snapshot;
use provost_decide::{Approvers, Policies, SourceFile, Who};
use provost_types::{Role, Timestamp};

use crate::ask::file;

fn toml(text: &str) -> SourceFile {
    SourceFile { name: "approvers.toml".into(), text: text.into() }
}

fn approvers(text: &str) -> Approvers {
    Policies::compile(&[toml(text)]).unwrap().approvers().clone()
}

fn faults(files: &[SourceFile]) -> String {
    let findings = Policies::compile(files).expect_err("refused");
    assert!(findings.is_sorted());
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}

const GROUPS: &str = r#"
[groups.platform]
members = ["ada", "grace", "local"]
not_own = true
then = "leads"
after = "15m"
quiet = { from = "22:00", to = "07:00", zone = "+01:00" }

[groups.leads]
members = ["joan", "Zoë Ödegård"]
then = "admins"
after = "1d"
"#;

#[test]
fn groups_have_members_and_those_after_them() {
    let approvers = approvers(GROUPS);
    let platform = approvers.group("platform").unwrap();
    assert_eq!(Vec::from_iter(&platform.members), ["ada", "grace", "local"]);
    assert!(platform.not_own);
    assert!(platform.quiet.unwrap().covers(Timestamp(0)), "01:00 there");
    assert_eq!(approvers.next("platform"), Some(("leads", Duration::from_mins(15))));
    assert_eq!(approvers.next("leads"), Some(("admins", Duration::from_hours(24))));
    assert_eq!(approvers.next("admins"), None);
    let leads = approvers.group("leads").unwrap();
    assert!(!leads.not_own);
    assert_eq!(leads.quiet, None);
    for (name, is_known) in
        [("platform", true), ("approvers", true), ("admins", true), ("Platform", false)]
    {
        assert_eq!(approvers.is_known(name), is_known, "{name}");
    }
    assert_eq!(approvers.group("admins"), None, "built in");
}

#[test]
fn members_may_answer_and_others_may_not() {
    let approvers = approvers(GROUPS);
    let human = |name, role| Who::Human { name, role };
    for (group, who, want) in [
        ("platform", Who::Local, true),
        ("platform", human("ada", Role::Auditor), true), // being named is enough
        ("platform", human("Ada", Role::Admin), false),
        ("platform", human("joan", Role::Admin), false), // asked later, by the caller
        ("platform", human("local", Role::Admin), false), // a person of that name
        ("leads", Who::Local, false),
        ("leads", human("Zoë Ödegård", Role::Approver), true),
        ("approvers", Who::Local, true),
        ("approvers", human("x", Role::Approver), true),
        ("approvers", human("x", Role::Admin), true),
        ("approvers", human("x", Role::Operator), false),
        ("approvers", human("x", Role::Auditor), false),
        ("admins", Who::Local, true),
        ("admins", human("x", Role::Admin), true),
        ("admins", human("x", Role::Approver), false),
        ("unheard-of", Who::Local, false),
        ("unheard-of", human("ada", Role::Admin), false),
    ] {
        assert_eq!(approvers.may_answer(group, &who), want, "{group} {who:?}");
    }
}

#[test]
fn every_fault_of_the_groups_is_told_at_its_place() {
    let text = r#"
[groups.approvers]
members = ["ada"]

[groups."to day"]
members = ["ada"]

[groups.empty]
members = []

[groups.none]
not_own = 1
colour = "red"

[groups.mixed]
members = ["ada", "ada", 3, ""]
after = "15 minutes"

[groups.lost]
members = ["ada"]
then = "losst"
after = "1h"
quiet = { from = "22:00", to = "07:00", zone = "Europe/Vienna" }

[groups.round]
members = ["ada"]
then = "robin"
after = "1h"

[groups.robin]
members = ["ada"]
then = "round"
after = "1h"

[groups.into]
members = ["ada"]
then = "robin"
after = "1h"

[groups.self]
members = ["ada"]
then = "self"
after = "1h"

[groups.silent]
members = "ada"
quiet = { from = "22:00", to = "07:00" }

[group.x]
members = ["ada"]
"#;
    assert_snapshot!(faults(&[toml(text)]), @r##"
    approvers.toml:2:9: error[bad-group]: "approvers" is built in: use another name
    approvers.toml:5:9: error[bad-group]: "to day" is not a group's name: use 1 to 64 letters, digits and `_`, `-`
    approvers.toml:9:11: error[bad-group]: a group has 1 to 1000 members
    approvers.toml:11:9: error[bad-group]: a group needs members
    approvers.toml:12:1: error[schema]: "not_own" is true or false
    approvers.toml:13:1: error[schema]: "colour" is not a key here: known are members, not_own, then, after and quiet
    approvers.toml:15:9: error[bad-group]: `then` and `after` go together
    approvers.toml:16:19: error[bad-group]: "ada" is named twice
    approvers.toml:16:26: error[schema]: not the name of a person
    approvers.toml:16:29: error[schema]: not the name of a person
    approvers.toml:17:9: error[bad-group]: "15 minutes" is not a length of time: use a number with s, m, h or d behind it, such as "30m"; from 1s to 30d
    approvers.toml:21:8: error[bad-group]: no group is named "losst": use one of this file, "approvers" or "admins"
    approvers.toml:23:1: error[bad-group]: "quiet" is { from = "22:00", to = "07:00", zone = "+01:00" }: different times of day, and a fixed offset from UTC or "Z"
    approvers.toml:27:8: error[bad-group]: after "round" in the end it is asked again
    approvers.toml:32:8: error[bad-group]: after "robin" in the end it is asked again
    approvers.toml:42:8: error[bad-group]: after "self" in the end it is asked again
    approvers.toml:45:9: error[bad-group]: `quiet` is when `then` is asked at once: name one
    approvers.toml:46:1: error[schema]: "members" is a list of people's names, such as ["ada", "grace"]
    approvers.toml:47:1: error[bad-group]: "quiet" is { from = "22:00", to = "07:00", zone = "+01:00" }: different times of day, and a fixed offset from UTC or "Z"
    approvers.toml:49:2: error[schema]: "group" is not a key here: use [groups.NAME]
    "##);
    assert_snapshot!(faults(&[toml("[groups.a]\nmembers = [\"ada\"\n[groups.b]\n")]), @r##"
    approvers.toml:3:1: error[syntax]: missing comma between array elements, expected `,`
    "##);
    assert_snapshot!(faults(&[toml("groups = 1\n[groups.a]")]), @r##"
    approvers.toml:2:2: error[syntax]: cannot extend value of type integer with a dotted key
    "##);
}

#[test]
fn one_file_defines_the_groups() {
    let other = SourceFile { name: "Approvers.toml".into(), text: "not = toml".into() };
    assert_snapshot!(faults(&[other]), @r##"
    Approvers.toml:1:1: error[unknown-file]: "Approvers.toml" is read by nobody: call it approvers.toml, or take it out
    "##);
    assert_snapshot!(faults(&[toml(""), toml(GROUPS)]), @r##"
    approvers.toml:1:1: error[duplicate-file]: two files are named "approvers.toml"
    "##);
}

#[test]
fn the_groups_are_part_of_the_version() {
    let version = |files: &[SourceFile]| Policies::compile(files).unwrap().version();
    assert_ne!(version(&[]), version(&[toml("")]));
    assert_ne!(version(&[toml(GROUPS)]), version(&[toml(&GROUPS.replace("15m", "16m"))]));
}

#[test]
fn a_malformed_gate_is_refused() {
    let text = r#"
@approvers("") forbid (principal, action, resource);
@approvers("a,") forbid (principal, action, resource);
@approvers("a, a") forbid (principal, action, resource);
@approvers("a, b c") @quorum("0") @expires("soon") forbid (principal, action, resource);
@approvers("a") @quorum("21") forbid (principal, action, resource);
@approvers("a") @quorum("+1") forbid (principal, action, resource);
@quorum("") permit (principal, action, resource);
@approvers("a") @expires("31d") forbid (principal, action, resource);
@approvers("a , b,c") @quorum("20") @expires("30d") forbid (principal, action, resource);
@approvers("a,b,c,d,e,f,g,h,i") forbid (principal, action, resource);
"#;
    assert_snapshot!(faults(&[file(text)]), @r##"
    p.cedar:2:1: error[bad-approvers]: @approvers("") names no groups: use 1 to 8 different names with commas between them, each 1 to 64 letters, digits and `_`, `-`
    p.cedar:3:1: error[bad-approvers]: @approvers("a,") names no groups: use 1 to 8 different names with commas between them, each 1 to 64 letters, digits and `_`, `-`
    p.cedar:4:1: error[bad-approvers]: @approvers("a, a") names no groups: use 1 to 8 different names with commas between them, each 1 to 64 letters, digits and `_`, `-`
    p.cedar:5:1: error[bad-approvers]: @approvers("a, b c") names no groups: use 1 to 8 different names with commas between them, each 1 to 64 letters, digits and `_`, `-`
    p.cedar:5:1: error[bad-expires]: @expires("soon") is not a length of time: use a number with s, m, h or d behind it, such as "30m"; from 1s to 30d
    p.cedar:5:1: error[bad-quorum]: @quorum("0") is not a number from 1 to 20
    p.cedar:6:1: error[bad-quorum]: @quorum("21") is not a number from 1 to 20
    p.cedar:7:1: error[bad-quorum]: @quorum("+1") is not a number from 1 to 20
    p.cedar:8:1: error[bad-quorum]: @quorum("") is not a number from 1 to 20
    p.cedar:9:1: error[bad-expires]: @expires("31d") is not a length of time: use a number with s, m, h or d behind it, such as "30m"; from 1s to 30d
    p.cedar:11:1: error[bad-approvers]: @approvers("a,b,c,d,e,f,g,h,i") names no groups: use 1 to 8 different names with commas between them, each 1 to 64 letters, digits and `_`, `-`
    "##);
}

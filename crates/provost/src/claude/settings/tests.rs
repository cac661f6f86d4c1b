//! Putting in and taking out, against each other.

use std::path::Path;

use serde_json::{Value, json};

use super::{EVENTS, Hooks, Managed, Record, is_ours, take_out};

fn hooks(program: &str, gateway: Option<&str>) -> Hooks {
    let managed = gateway.map(|gateway| Managed {
        gateway: Some(gateway.to_owned()),
        hook_url: Some(format!("{gateway}/hook")),
    });
    Hooks::new(Path::new(program), None, managed).unwrap()
}

/// Settings as people have them.
fn settings() -> Vec<Value> {
    vec![
        json!({}),
        json!({"model": "opus", "hooks": {}, "z": 1, "a": [2]}),
        json!({"hooks": {"PreToolUse": []}, "permissions": {"deny": ["Bash(rm *)"]}}),
        json!({"permissions": {}, "env": {"ANTHROPIC_BASE_URL": "http://other", "X": "1"}}),
        json!({
            "allowManagedHooksOnly": true,
            "permissions": {"disableBypassPermissionsMode": null, "allow": []},
        }),
        json!({"hooks": {
            "PreToolUse": [
                {"matcher": "Bash", "hooks": [{"type": "command", "command": "lint hook"}]},
                {"matcher": "*", "hooks": []},
            ],
            "Stop": [{"hooks": [{"type": "command", "command": "/opt/provost serve"}]}],
            "Notification": [{"hooks": [{"type": "http", "url": "http://x"}]}],
        }}),
    ]
}

#[test]
fn taking_out_gives_back_what_was_there_to_the_letter() {
    for gateway in [None, Some("http://10.0.0.7:8484")] {
        for before in settings() {
            let (mut now, mut record) = (before.clone(), Record::default());
            hooks("/opt/provost", gateway).put_in(&mut now, &mut record).unwrap();
            assert_ne!(now, before);
            // Told again, from elsewhere, with another gateway.
            let moved = gateway.map(|_| "http://10.0.0.8:8484");
            hooks("/usr/local/bin/provost", moved).put_in(&mut now, &mut record).unwrap();
            let kept = serde_json::to_value(&record).unwrap();
            let record: Record = serde_json::from_value(kept).unwrap();
            take_out(&mut now, &record).unwrap();
            assert_eq!(now.to_string(), before.to_string());
        }
    }
}

#[test]
fn they_are_put_in_once_and_others_stay() {
    for before in settings() {
        let (mut now, mut record) = (before.clone(), Record::default());
        let ours = hooks("/opt/my programs/provost", Some("http://10.0.0.7:8484"));
        ours.put_in(&mut now, &mut record).unwrap();
        let (once, recorded) = (now.clone(), record.clone());
        ours.put_in(&mut now, &mut record).unwrap();
        assert_eq!((&now, &record), (&once, &recorded));
        for (event, _) in EVENTS {
            let groups = now["hooks"][event].as_array().unwrap();
            let all = groups.iter().flat_map(|group| group["hooks"].as_array().unwrap());
            assert_eq!(all.filter(|hook| is_ours(hook)).count(), 1, "{event}");
            let there = before["hooks"][event].as_array().cloned().unwrap_or_default();
            assert!(there.iter().all(|group| groups.contains(group)), "{event}");
        }
        assert_eq!(now["hooks"]["Notification"], before["hooks"]["Notification"]);
    }
}

#[test]
fn what_can_be_refused_is_refused_also_without_the_program() {
    let mut now = json!({});
    hooks("/opt/provost", None).put_in(&mut now, &mut Record::default()).unwrap();
    assert_eq!(
        now["hooks"]["PreToolUse"],
        json!([{"matcher": "*", "hooks": [{
            "type": "command",
            "command": "/opt/provost hook --wait-s 300 || exit 2",
            "timeout": 310,
            "onFailure": "block",
        }]}])
    );
    // An end that is refused is no end.
    assert_eq!(
        now["hooks"]["Stop"],
        json!([{"hooks": [{"type": "command", "command": "/opt/provost hook", "timeout": 10}]}])
    );
    assert!(now.get("permissions").is_none() && now.get("allowManagedHooksOnly").is_none());
}

#[test]
fn what_somebody_changed_meanwhile_stays_as_they_left_it() {
    let (mut now, mut record) = (json!({}), Record::default());
    hooks("/opt/provost", Some("http://a")).put_in(&mut now, &mut record).unwrap();
    now["env"]["ANTHROPIC_BASE_URL"] = json!("http://b");
    now["permissions"]["deny"] = json!(["Bash"]);
    take_out(&mut now, &record).unwrap();
    let left = json!({
        "permissions": {"deny": ["Bash"]},
        "env": {"ANTHROPIC_BASE_URL": "http://b"}, // and the URL of hooks is gone
    });
    assert_eq!(now, left);
}

#[test]
fn without_a_record_only_the_hooks_are_taken_out() {
    let mut now = json!({"model": "opus"});
    hooks("/opt/provost", None).put_in(&mut now, &mut Record::default()).unwrap();
    take_out(&mut now, &Record::default()).unwrap();
    assert!(now["hooks"].as_object().unwrap().values().all(|it| it == &json!([])));
}

#[test]
fn ours_are_known_by_the_program_they_call() {
    for (command, want) in [
        ("/usr/bin/provost hook", true),
        ("/usr/bin/provost hook || exit 2", true),
        ("'/opt/my programs/provost' hook || exit 2", true),
        (r"'/opt/ada'\''s/provost' hook", true),
        ("/usr/bin/provost hook --ca-file /x.pem", true),
        ("/usr/bin/provost hooks", false),
        ("/usr/bin/provost audit tail", false),
        ("/usr/bin/not-provost hook", false),
        ("echo provost hook", false),
        ("'", false),
        ("", false),
    ] {
        assert_eq!(is_ours(&json!({ "command": command })), want, "command = {command}");
    }
}

#[test]
fn settings_of_another_shape_are_refused_by_name() {
    for (mut settings, want) in [
        (json!([]), "the file is not an object"),
        (json!({"hooks": []}), "`hooks` is not an object"),
        (json!({"hooks": {"Stop": {}}}), "`hooks.Stop` is not a list"),
        (json!({"permissions": "none"}), "`permissions` is not an object"),
    ] {
        let put_in =
            hooks("/opt/provost", Some("x")).put_in(&mut settings, &mut Record::default());
        let error = put_in.unwrap_err().to_string();
        assert!(error.starts_with(want), "{error}");
    }
}

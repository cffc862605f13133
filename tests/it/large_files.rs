//! Files of the largest size that is read. Where the work grew with the square of it, these would take hours; what they
//! take now is not measured.

use std::fmt::Write;

use crate::support::{CommandOutput, DRCTL, Scratch};

const ESTATE: &str = "[estate]\nname = \"shop\"\nregion = \"eu-west-1\"\n";
const RUNBOOK: &str = "+++\nname = \"n\"\ntitle = \"t\"\nkind = \"drill\"\n+++\n";

fn drctl(file: &str, text: &str, arguments: &[&str]) -> CommandOutput {
    let scratch = Scratch::new();
    let path = scratch.0.join(file);
    std::fs::write(&path, text).unwrap();
    let mut command = std::process::Command::new(DRCTL);
    command.args(arguments).arg(&path);
    CommandOutput::from(command.output().unwrap())
}

/// `head`, and a line for each number up to `count`.
fn repeated(head: &str, count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).fold(head.to_owned(), |mut text, number| {
        let _ = text.write_str(&line(number));
        text
    })
}

#[test]
fn a_runbook_of_twenty_thousand_steps_is_linted() {
    let step = |of: &dyn Fn(usize) -> String| {
        repeated(RUNBOOK, 20_000, |number| {
            let reference = of(number);
            format!(
                "\n```toml drctl\nid = \"s{number}\"\naction = \"restore.wait\"\ncopy = \"{{{{ {reference} }}}}\"\n```\n"
            )
        })
    };
    for text in [step(&|number| format!("s{}.id", number.saturating_sub(1))), step(&|number| format!("n{number}"))] {
        assert!(text.len() > 1_400_000);
        let ran = drctl("x.md", &text, &["runbook", "lint"]).assert_contains("more problems are not shown");
        assert!(ran.code != 0 && ran.out.len() + ran.err.len() < 200_000, "{}", ran.out.len() + ran.err.len());
    }
}

#[test]
fn a_configuration_of_three_megabytes_is_read_and_its_mistakes_are_cut() {
    let unknown = repeated(ESTATE, 220_000, |number| format!("key{number} = 1\n"));
    let twins =
        repeated(ESTATE, 50_000, |_| "[[database]]\nid = \"db\"\nkind = \"oracle\"\nrto = \"never\"\n".to_owned());
    for text in [unknown, twins] {
        assert!(text.len() > 2_500_000);
        let ran = drctl("x.toml", &text, &["iam-policy", "--config"])
            .assert_code(2)
            .assert_contains("more problems are not shown");
        assert!(ran.err.len() < 100_000, "{}", ran.err.len());
    }
}

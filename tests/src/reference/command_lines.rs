//! The command lines of node, miner and agent: what `--help` of each command says, without what is only for tests.

use super::Page;
use crate::{process::binary, Result};
use std::process::{Command, Stdio};

/// The width of the text, in characters.
const WIDTH: &str = "100";

/// The heading of options that a build for tests has, and a published one has not.
const FOR_TESTS: &str = "For tests only:";

/// How options begin that are only for tests.
const TEST_OPTIONS: [&str; 2] = ["--test-", "--fail-point"];

const INTRODUCTION: &str = "\
What `--help` of each command says. [operating.md](../operating.md) says how to use them. The scripts of this repository describe
themselves in the same way: `scripts/NAME --help`.";

/// The page of command lines.
pub fn page() -> Result<Page> {
    let mut body = String::new();
    for program in ["weir-node", "weir-miner", "weir-agent"] {
        describe(program, &mut Vec::new(), &mut body)?;
    }
    Ok(Page::new("command-lines.md", "Command lines", INTRODUCTION, &body))
}

/// Adds a command, and then the commands below it.
fn describe(program: &str, path: &mut Vec<String>, body: &mut String) -> Result<()> {
    let help = without_test_options(&help(program, path)?);
    let name = [&[program.to_string()], path.as_slice()].concat().join(" ");
    if let Some(option) = TEST_OPTIONS.iter().find(|option| help.contains(*option)) {
        return Err(format!("'{name} --help' has {option}* outside of the heading '{FOR_TESTS}'").into());
    }
    let level = if path.is_empty() { "##" } else { "###" };
    *body += &format!("{level} `{name}`\n\n```text\n{help}\n```\n\n");
    for command in commands(&help) {
        path.push(command);
        describe(program, path, body)?;
        path.pop();
    }
    Ok(())
}

/// What a command says of itself. Neither terminal nor environment changes it.
fn help(program: &str, path: &[String]) -> Result<String> {
    let output = Command::new(binary(program)?)
        .args(path)
        .arg("--help")
        .env_clear()
        .env("COLUMNS", WIDTH)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()?;
    if !output.status.success() {
        return Err(
            format!("{program} {} --help failed: {}", path.join(" "), String::from_utf8_lossy(&output.stderr)).into()
        );
    }
    let text = String::from_utf8(output.stdout)?;
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    Ok(lines.join("\n").trim().to_string())
}

/// Help without the options under the heading of those that are only for tests. A heading is a line that is not indented, and
/// its options are all that is indented below it.
fn without_test_options(help: &str) -> String {
    let mut kept = Vec::new();
    let mut is_for_tests = false;
    for line in help.lines() {
        if !line.starts_with(' ') && !line.is_empty() {
            is_for_tests = line == FOR_TESTS;
        }
        if !is_for_tests {
            kept.push(line);
        }
    }
    kept.join("\n").trim_end().to_string()
}

/// The commands below one, but for `help`.
fn commands(help: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with(' '))
        // Deeper lines go on with the description of a command.
        .filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(ToString::to_string)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELP: &str = "\
A node.

Usage: node [OPTIONS] [COMMAND]

Commands:
  key     Make keys, with a
          long description
  revert  Take back
  help    Print this message

Options:
      --a
          About a

For tests only:
      --test-b
          About b

Mining:
      --c
          About c";

    #[test]
    fn options_for_tests_are_left_out_and_those_behind_them_are_not() {
        let shown = without_test_options(HELP);
        assert!(shown.contains("--a") && shown.contains("--c") && !shown.contains("test"));
        let last = without_test_options("Options:\n  --a\n\nFor tests only:\n  --test-b\n      About b\n");
        assert_eq!(last, "Options:\n  --a");
    }

    #[test]
    fn the_commands_are_those_of_the_list() {
        assert_eq!(commands(HELP), ["key", "revert"]);
        assert!(commands("Options:\n  --a").is_empty());
    }
}

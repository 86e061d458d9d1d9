//! The table, in Markdown: it reads as well on a terminal as in the document.

use crate::goals::{GOAL_THREADS, Goal, unit};
use crate::operation::Operation;
use crate::process;
use crate::results::Results;
use crate::systems::Name;

/// How the run was made; printed above the table.
pub(crate) struct Circumstances {
    /// Milliseconds per cell and round.
    pub(crate) milliseconds: u64,
    /// Rounds.
    pub(crate) rounds: usize,
    /// Thread counts.
    pub(crate) threads: Vec<usize>,
}

/// Renders circumstances, table, goals and failures.
pub(crate) fn render(results: &Results, goals: &[Goal], how: &Circumstances) -> String {
    let mut text = String::new();
    header(&mut text, results, how);
    cells(&mut text, results, how);
    verdicts(&mut text, goals);
    failures(&mut text, results);
    text
}

fn header(text: &mut String, results: &Results, how: &Circumstances) {
    let (model, processors) = process::machine();
    line(
        text,
        &format!(
            "- CPU: {model}, {processors} processors; loopback; one run, cell by cell in turn"
        ),
    );
    let rounds = how.rounds;
    line(text, &format!("- {} ms per cell, median of {rounds} rounds", how.milliseconds));
    let at =
        |threads| unit(results, threads).map(|unit| format!("{unit:.1} µs at {threads} threads"));
    let units: Vec<String> = [GOAL_THREADS, 1].into_iter().filter_map(at).collect();
    if !units.is_empty() {
        line(text, &format!("- U, the CPU time of one raw P-256 signature: {}", units.join("; ")));
    }
    line(text, "- CPU is per operation: of the application's process, and of the server's apart");
    line(text, "");
}

fn cells(text: &mut String, results: &Results, how: &Circumstances) {
    if results.is_empty() {
        return;
    }
    line(
        text,
        "| operation | threads | system | per second | p50 µs | p99 µs | client CPU µs | server CPU µs |",
    );
    line(text, "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |");
    for operation in Operation::ALL {
        for &threads in &how.threads {
            for name in Name::ALL {
                let Some(cell) = results.get(operation, threads, name) else { continue };
                let server = if name == Name::Casemate || name == Name::P11kit {
                    format!("{:.1}", cell.server_cpu)
                } else {
                    "–".to_owned()
                };
                line(
                    text,
                    &format!(
                        "| {} | {threads} | {} | {:.0} | {:.1} | {:.1} | {:.1} | {server} |",
                        operation.name(),
                        name.text(),
                        cell.rate,
                        cell.p50,
                        cell.p99,
                        cell.client_cpu,
                    ),
                );
            }
        }
    }
    line(text, "");
}

fn verdicts(text: &mut String, goals: &[Goal]) {
    if goals.is_empty() {
        return;
    }
    line(text, &format!("Goals ({GOAL_THREADS} threads where nothing else is said):"));
    line(text, "");
    line(text, "| goal | bound | reached | |");
    line(text, "| --- | ---: | ---: | --- |");
    for goal in goals {
        let verdict = goal.verdict();
        line(text, &format!("| {} | {} | {} | {verdict} |", goal.text, goal.bound, goal.reached));
    }
    line(text, "");
}

fn failures(text: &mut String, results: &Results) {
    let mut any = false;
    for (operation, threads, name, cause) in results.failures() {
        if !any {
            line(text, "Not measured, because it failed:");
            line(text, "");
            any = true;
        }
        let operation = operation.name();
        line(text, &format!("- {operation}, {threads} threads, {}: {cause}", name.text()));
    }
    if any {
        line(text, "");
    }
}

fn line(text: &mut String, content: &str) {
    text.push_str(content);
    text.push('\n');
}

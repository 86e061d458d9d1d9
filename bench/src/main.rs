//! The benchmark: how far Casemate is from the limit of the machine, and from what people use now.
//!
//! One driver for any PKCS#11 module. It measures raw AWS-LC in process, Casemate over TLS,
//! SoftHSM2 in process and SoftHSM2 behind p11-kit's remoting, in one run on the same cores, and
//! prints one table with the goals and whether each was met. See `README.md` for how to read it. Only `ffi` has
//! `unsafe` code: the C libraries that it measures.
#![deny(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is its purpose")]

mod document;
mod error;
#[expect(unsafe_code, reason = "calls C libraries, as the applications do that it stands for")]
mod ffi;
mod goals;
mod limit;
mod load;
mod module;
mod operation;
mod process;
mod results;
mod scenarios;
mod systems;
mod table;
mod wire;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::error::Error;
use crate::load::Shape;
use crate::operation::Operation;
use crate::results::Results;
use crate::scenarios::{Scenario, Size};
use crate::systems::{Name, System};
use crate::table::Circumstances;

/// Measures Casemate beside raw AWS-LC and SoftHSM2, and prints one table.
#[derive(Parser)]
#[command(name = "casemate-bench")]
struct Arguments {
    /// Run every benchmark once, judge nothing: shows that all of them work
    #[arg(long)]
    quick: bool,
    /// Measure only these systems
    #[arg(long, value_delimiter = ',', value_name = "SYSTEMS")]
    only: Vec<Name>,
    /// Measure only these operations
    #[arg(long, value_delimiter = ',')]
    operations: Vec<Operation>,
    /// Numbers of threads
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 8, 32, 128])]
    threads: Vec<usize>,
    /// Seconds per cell and round
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Rounds; the table shows the median
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Leave out the table's cells
    #[arg(long)]
    no_cells: bool,
    /// Run only these scenarios
    #[arg(long, value_delimiter = ',')]
    scenarios: Vec<Scenario>,
    /// Leave out the scenarios
    #[arg(long)]
    no_scenarios: bool,
    /// Put the table into this document, between its markers
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    #[command(subcommand)]
    part: Option<Part>,
}

impl Arguments {
    /// The scenarios to run; they are Casemate's, and go with it.
    fn scenarios(&self) -> Vec<Scenario> {
        let ours = self.only.is_empty() || self.only.contains(&Name::Casemate);
        if !ours || self.no_scenarios {
            return Vec::new();
        }
        chosen(&self.scenarios, &Scenario::ALL)
    }
}

/// What the driver starts itself as.
#[derive(clap::Subcommand)]
enum Part {
    /// Measures one system, as the driver asks on standard input
    #[command(hide = true)]
    Worker,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.part {
        Some(Part::Worker) => worker::serve(),
        None => drive(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("casemate-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn drive(arguments: &Arguments) -> Result<(), Error> {
    let how = circumstances(arguments);
    let mut results = Results::default();
    let mut goals = Vec::new();
    if !arguments.no_cells {
        measure_cells(arguments, &how, &mut results)?;
        goals = goals::judge(&results);
    }
    let size = if arguments.quick { Size::QUICK } else { Size::FULL };
    for scenario in arguments.scenarios() {
        eprintln!("scenario {scenario:?}");
        goals.extend(scenario.run(size)?);
    }
    if arguments.quick {
        // What ran once shows that it works, not how fast.
        goals.clear();
    }
    let text = table::render(&results, &goals, &how);
    print!("{text}");
    if arguments.quick {
        ours_worked(&results)?;
    }
    arguments.write.as_deref().map_or(Ok(()), |path| document::write(path, &text))
}

/// Fails if a cell of ours failed. That another system lacks an operation is its own affair.
fn ours_worked(results: &Results) -> Result<(), Error> {
    let ours = |name| matches!(name, Name::Limit | Name::Casemate);
    let failed = results.failures().find(|&(_, _, name, _)| ours(name));
    failed.map_or(Ok(()), |(operation, _, name, cause)| {
        Err(Error::Cell(format!("{}, {}: {cause}", operation.name(), name.text())))
    })
}

/// Fills the table.
fn measure_cells(
    arguments: &Arguments,
    how: &Circumstances,
    results: &mut Results,
) -> Result<(), Error> {
    let mut systems = Vec::new();
    for name in chosen(&arguments.only, &Name::ALL) {
        eprintln!("starting {}", name.text());
        systems.push(System::start(name)?);
    }
    let operations = chosen(&arguments.operations, &Operation::ALL);
    for round in 1..=how.rounds {
        for &operation in &operations {
            eprintln!("round {round} of {}: {}", how.rounds, operation.name());
            measure_row(&mut systems, operation, how, results)?;
        }
    }
    Ok(())
}

/// Measures one operation at each thread count, the systems in turn.
fn measure_row(
    systems: &mut [System],
    operation: Operation,
    how: &Circumstances,
    results: &mut Results,
) -> Result<(), Error> {
    for &threads in &how.threads {
        if !worth_measuring(operation, threads) {
            continue;
        }
        let shape = Shape { threads, milliseconds: how.milliseconds };
        for system in systems.iter_mut() {
            let cell = system.measure(operation, shape)?;
            results.add(operation, threads, system.name, cell);
        }
    }
    Ok(())
}

/// Slow operations and searches say all they have to say at few thread counts.
const fn worth_measuring(operation: Operation, threads: usize) -> bool {
    match operation {
        Operation::SignRsa4096 | Operation::Create | Operation::FindLabel | Operation::FindId => {
            matches!(threads, 1 | 32)
        }
        Operation::Empty
        | Operation::SignP256
        | Operation::SignP384
        | Operation::SignRsa2048
        | Operation::Gcm16K => true,
    }
}

fn circumstances(arguments: &Arguments) -> Circumstances {
    let threads = arguments.threads.clone();
    if arguments.quick {
        return Circumstances { milliseconds: 0, rounds: 1, threads };
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the conversion saturates, and nobody measures for an age"
    )]
    let milliseconds = (arguments.seconds * 1000.0).max(1.0) as u64;
    Circumstances { milliseconds, rounds: arguments.rounds.max(1), threads }
}

/// Returns what was asked for, in the order of the table, or everything.
fn chosen<T: Copy + PartialEq>(asked: &[T], all: &[T]) -> Vec<T> {
    let wanted = |item: &&T| asked.is_empty() || asked.contains(item);
    all.iter().filter(wanted).copied().collect()
}

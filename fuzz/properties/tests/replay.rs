//! Every input that a fuzzer found interesting, and every one that it found broken, without the fuzzer.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::path::{Path, PathBuf};

use casemate_fuzz_properties::TARGETS;

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(kind)
}

fn inputs(kind: &str, target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let Ok(files) = std::fs::read_dir(folder(kind).join(target)) else { return Vec::new() };
    let paths = files.map(|entry| entry.unwrap().path());
    paths.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

/// Runs a target over all its inputs, and returns how many there were.
fn replay(target: &str, property: fn(&[u8])) -> usize {
    let all = [inputs("corpus", target), inputs("crashes", target)].concat();
    for (path, input) in &all {
        let held = std::panic::catch_unwind(|| property(input));
        assert!(held.is_ok(), "{target} fails for {}", path.display());
        // Cut anywhere, as a peer that goes away cuts it.
        for length in [input.len() / 2, input.len().saturating_sub(1)] {
            let cut = &input[..length];
            let held = std::panic::catch_unwind(|| property(cut));
            assert!(held.is_ok(), "{target} fails for {length} bytes of {}", path.display());
        }
    }
    all.len()
}

macro_rules! targets {
    ($($name:ident),*) => {
        $(
            #[test]
            fn $name() {
                let (name, property) =
                    TARGETS.into_iter().find(|(name, _)| *name == stringify!($name)).unwrap();
                assert!(replay(name, property) >= 3, "no corpus");
            }
        )*
        #[test]
        fn every_target_is_replayed_and_has_its_fuzzer() {
            assert_eq!(TARGETS.map(|(name, _)| name), [$(stringify!($name)),*]);
            for (name, _) in TARGETS {
                let path = folder("fuzz_targets").join(format!("{name}.rs"));
                let text = std::fs::read_to_string(&path).unwrap();
                assert!(text.contains(&format!("casemate_fuzz_properties::{name}(")), "{name}");
            }
        }
    };
}

targets!(
    abi_calls,
    certificate,
    chain,
    configuration,
    frame,
    import,
    log_entry,
    reply,
    request,
    sealed,
    snapshot,
    store,
    template
);

#[test]
fn the_corpora_are_small() {
    let mut bytes = 0;
    for (target, _) in TARGETS {
        for kind in ["corpus", "crashes"] {
            bytes += inputs(kind, target).iter().map(|(_, input)| input.len()).sum::<usize>();
        }
    }
    assert!(bytes <= 200 << 10, "{bytes} bytes");
}

/// A property that holds for everything checks nothing: each of these must fail.
#[test]
fn a_broken_property_is_found() {
    let broken: fn(&[u8]) = |input| assert!(input.is_empty(), "planted");
    let Some((_, input)) =
        inputs("corpus", "frame").into_iter().find(|(_, input)| !input.is_empty())
    else {
        panic!("no corpus")
    };
    assert!(std::panic::catch_unwind(|| broken(&input)).is_err());
}

//! Proofs from tiles, and their checks.

use proptest::prelude::*;
use provost_ledger::{
    BadProof, Checkpoint, Hash, ProofError, Tree, consistency_proof, inclusion_proof,
    leaf_hash, verify_consistency, verify_inclusion,
};

use crate::ledger::{Ledger, checkpoint, entry};

fn head(size: u64) -> Checkpoint {
    let leaves = (0..size).map(|index| leaf_hash(&entry(index)));
    checkpoint(size, leaves.collect::<Tree>().root())
}

#[test]
fn every_proof_of_every_small_ledger_holds() {
    let ledger = Ledger::sealed(40);
    let heads: Vec<Checkpoint> = (0..=40).map(head).collect();
    for new in &heads {
        for index in 0..new.size {
            let proof = inclusion_proof(&ledger, index, new.size).unwrap();
            let leaf = leaf_hash(&entry(index));
            assert_eq!(verify_inclusion(&proof, index, &leaf, new), Ok(()), "{index} {new:?}");
        }
        for old in heads.iter().filter(|old| old.size <= new.size) {
            let proof = consistency_proof(&ledger, old.size, new.size).unwrap();
            assert_eq!(verify_consistency(&proof, old, new), Ok(()), "{old:?} {new:?}");
        }
    }
}

#[test]
fn proofs_cross_tiles_and_levels() {
    let ledger = Ledger::sealed(66_000);
    let new = head(66_000);
    for index in [0, 255, 256, 65_535, 65_536, 65_999] {
        let proof = inclusion_proof(&ledger, index, new.size).unwrap();
        let leaf = leaf_hash(&entry(index));
        assert_eq!(verify_inclusion(&proof, index, &leaf, &new), Ok(()), "index = {index}");
    }
    for old in [0, 1, 255, 256, 257, 1000, 65_535, 65_536, 65_537, 65_999, 66_000] {
        let proof = consistency_proof(&ledger, old, new.size).unwrap();
        assert_eq!(verify_consistency(&proof, &head(old), &new), Ok(()), "old = {old}");
    }
}

#[test]
fn there_are_no_proofs_of_what_is_not_there() {
    let ledger = Ledger::sealed(300);
    let beyond = |result| matches!(result, Err(ProofError::Beyond { .. }));
    assert!(beyond(inclusion_proof(&ledger, 300, 300)));
    assert!(beyond(inclusion_proof(&ledger, 0, 0)));
    assert!(beyond(consistency_proof(&ledger, 301, 300)));
    let missing = inclusion_proof(&ledger, 0, 301).unwrap_err();
    assert!(matches!(missing, ProofError::Tile(_)), "{missing:?}");
    let nothing = head(0);
    assert_eq!(verify_inclusion(&[], 0, &nothing.root, &nothing), Err(BadProof));
    let forged = checkpoint(0, [1; 32]);
    assert_eq!(verify_consistency(&[], &forged, &head(300)), Err(BadProof));
}

/// Changes a proof in one of the ways there are.
fn mutate(proof: &mut Vec<Hash>, way: usize, at: prop::sample::Index) {
    match way {
        0 => proof.push([0; 32]),
        1 => proof.insert(0, [0; 32]),
        _ if proof.is_empty() => proof.push([1; 32]),
        2 => drop(proof.pop()),
        3 => drop(proof.remove(0)),
        _ => {
            let at = at.index(proof.len());
            proof[at][0] ^= 1;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn changed_proofs_do_not_hold(
        size in 1_u64..800,
        index: prop::sample::Index,
        way in 0_usize..5,
        at: prop::sample::Index,
    ) {
        let ledger = Ledger::sealed(size);
        let new = head(size);
        let index = u64::try_from(index.index(usize::try_from(size).unwrap())).unwrap();
        let leaf = leaf_hash(&entry(index));
        let proof = inclusion_proof(&ledger, index, size).unwrap();
        prop_assert_eq!(verify_inclusion(&proof, index, &leaf, &new), Ok(()));
        prop_assert!(verify_inclusion(&proof, index, &[1; 32], &new).is_err());
        prop_assert!(verify_inclusion(&proof, index ^ 1, &leaf, &new).is_err());
        prop_assert!(verify_inclusion(&proof, size, &leaf, &new).is_err());
        let mut changed = proof;
        mutate(&mut changed, way, at);
        prop_assert!(verify_inclusion(&changed, index, &leaf, &new).is_err());

        let old = head(index + 1);
        let proof = consistency_proof(&ledger, old.size, size).unwrap();
        prop_assert_eq!(verify_consistency(&proof, &old, &new), Ok(()));
        let forged = checkpoint(old.size, [1; 32]);
        prop_assert!(verify_consistency(&proof, &forged, &new).is_err());
        let forged = checkpoint(size, [1; 32]);
        prop_assert!(verify_consistency(&proof, &old, &forged).is_err());
        let mut changed = proof;
        mutate(&mut changed, way, at);
        prop_assert!(verify_consistency(&changed, &old, &new).is_err());
    }
}

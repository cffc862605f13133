//! What expires by itself is not lost, but it must not be what hides a loss: whoever can make a TTL index could have a
//! collection left out of every comparison.

use super::model::{Baseline, Expiring, ProbeError, RelationFacts};

/// What cannot be told of collections with TTL indexes, by their names.
pub(super) fn doubts(found: &Baseline, baseline: &Baseline) -> Vec<(String, ProbeError)> {
    let compared =
        baseline.relations.iter().filter_map(|(name, before)| Some((name, before, found.relations.get(name)?)));
    let doubts =
        compared.filter_map(|(name, before, now)| Some((name.clone(), ProbeError::Unable(doubt(before, now)?))));
    doubts.collect()
}

fn doubt(before: &RelationFacts, now: &RelationFacts) -> Option<String> {
    let (rows_before, rows_now) = (documents(before)?, documents(now)?);
    let known = before.expiring.as_ref().map(|expiring| expiring.fields.as_slice()).unwrap_or_default();
    let fresh = now.expiring.iter().flat_map(|Expiring { fields, .. }| fields).find(|field| !known.contains(field));
    if let Some(field) = fresh {
        return Some(format!(
            "it has {rows_now} rows, had {rows_before}, and has a TTL index on `{field}` that is new: if that was meant, \
             accept it with `--update-baseline`"
        ));
    }
    (rows_before > 0 && rows_now == 0 && now.expiring.is_some()).then(|| {
        format!(
            "it is empty, and had {rows_before} rows: whether they expired (TTL) or were lost cannot be told; if they \
             expired, accept it with `--update-baseline`"
        )
    })
}

/// The rows to hold against `before`. Where nothing expired then, all rows were counted.
pub(super) fn comparable_rows(before: &RelationFacts, now: &RelationFacts) -> Option<u64> {
    if before.expiring.is_some() { now.rows } else { documents(now) }
}

/// All of its rows, where they were counted.
fn documents(facts: &RelationFacts) -> Option<u64> {
    Some(facts.rows? + facts.expiring.as_ref().map_or(0, |expiring| expiring.rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(rows: u64, expiring: Option<(&str, u64)>) -> RelationFacts {
        let expiring = expiring.map(|(field, rows)| Expiring { fields: vec![field.to_owned()], rows });
        RelationFacts { rows: Some(rows), expiring, ..RelationFacts::default() }
    }

    #[test]
    fn all_rows_are_held_against_a_count_of_all_rows() {
        assert_eq!(comparable_rows(&facts(500, None), &facts(0, Some(("at", 500)))), Some(500));
        assert_eq!(comparable_rows(&facts(5, Some(("at", 500))), &facts(5, Some(("at", 3)))), Some(5));
        assert_eq!(comparable_rows(&facts(500, None), &RelationFacts::default()), None);
    }

    #[test]
    fn what_a_ttl_index_may_hide_is_a_doubt() {
        let known = facts(0, Some(("at", 20)));
        assert_eq!(doubt(&known, &facts(0, Some(("at", 3)))), None);
        assert_eq!(doubt(&facts(5, None), &facts(5, None)), None);
        assert!(doubt(&facts(5, None), &facts(5, Some(("at", 0)))).unwrap().contains("TTL index on `at`"));
        assert!(doubt(&known, &facts(20, Some(("until", 0)))).unwrap().contains("TTL index on `until`"));
        assert!(doubt(&known, &facts(0, Some(("at", 0)))).unwrap().contains("had 20 rows"));
        // What an earlier version recorded was not counted.
        assert_eq!(doubt(&RelationFacts::default(), &known), None);
    }
}

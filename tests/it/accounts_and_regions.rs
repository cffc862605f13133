//! A run remembers where it made things; nothing is done in an account that is not meant.

use super::support::{AURORA_POSTGRES, HEAD, Rig};

#[test]
fn an_account_that_is_not_meant_is_refused_before_anything() {
    let rig = Rig::start(&[HEAD, AURORA_POSTGRES].concat());
    let before = rig.state();
    let pinned = |account: &str| HEAD.replace("region = ", &format!("account = \"{account}\"\nregion = "));
    std::fs::write(&rig.config, [&pinned("210987654321"), AURORA_POSTGRES].concat()).unwrap();
    for arguments in
        [vec!["doctor"], vec!["restore-test", "--all"], vec!["restore-test", "--all", "--dry-run"], vec!["reap"]]
    {
        let ran =
            rig.run(&arguments).ends(2).says("is of account 123456789012, and `[estate] account` is 210987654321");
        assert!(ran.err.contains("hint: use the estate's own credentials"), "{arguments:?}: {}", ran.err);
    }
    assert!(rig.calls().iter().all(|call| call == "sts:GetCallerIdentity"), "{:?}", rig.calls());
    assert_eq!(rig.state(), before);
    std::fs::write(&rig.config, [&pinned("123456789012"), AURORA_POSTGRES].concat()).unwrap();
    rig.run(&["restore-test", "--all", "--dry-run"]).ends(0);
}

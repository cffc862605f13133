//! An estate says which account is meant. That another one is refused is tested against moto, which the sandbox is not.

use super::support::{AURORA_POSTGRES, HEAD, TestSandbox};

#[test]
fn a_file_that_names_productions_account_is_rehearsed_in_the_sandbox() {
    let pinned = HEAD.replace("region = ", "account = \"210987654321\"\nregion = ");
    let rig = TestSandbox::start(&[&pinned, AURORA_POSTGRES].concat());
    rig.run(&["restore-test", "--all", "--dry-run"]).assert_code(0);
    let text = std::fs::read_to_string(&rig.config).unwrap().replace("210987654321", "2109");
    std::fs::write(&rig.config, text).unwrap();
    rig.run(&["doctor"]).assert_code(2).assert_contains("write the account's twelve digits");
}

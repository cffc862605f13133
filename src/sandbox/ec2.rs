//! EC2: security groups, as far as drctl looks at them.

use super::protocol::{Answer, ApiError, Node, Params, document, element, leaf};
use super::world::World;

const NAMESPACE_VERSION: &str = "2016-11-15";

pub(super) fn answer(world: &mut World, region: &str, action: &str, params: &Params) -> Result<Answer, ApiError> {
    if action != "DescribeSecurityGroups" {
        return Err(ApiError::new(400, "InvalidAction", format!("the sandbox does not know {action}")));
    }
    if params.required("Version")? != NAMESPACE_VERSION {
        return Err(ApiError::new(400, "NoSuchVersion", "the sandbox knows EC2 as of 2016-11-15"));
    }
    let owner = world.account.clone();
    let groups = &world.region(region).network.security_groups;
    let known = |id: &str| groups.get_key_value(id);
    let nth = |number: usize| params.text(&format!("GroupId.{number}")).map(str::to_owned);
    let wanted: Vec<String> = (1..).map_while(nth).collect();
    for id in &wanted {
        if !id.starts_with("sg-") {
            let message = format!("Invalid id: \"{id}\" (expecting \"sg-...\")");
            return Err(ApiError::new(400, "InvalidGroupId.Malformed", message));
        }
        if known(id).is_none() {
            let message = format!("The security group '{id}' does not exist");
            return Err(ApiError::new(400, "InvalidGroup.NotFound", message));
        }
    }
    let items = wanted.iter().filter_map(|id| known(id)).map(|(id, group)| {
        let owner = leaf("ownerId", &owner);
        let name = leaf("groupName", id);
        let about = leaf("groupDescription", "of the sandbox");
        let rules = group.egress.iter().map(|range| rule(range)).collect();
        let (vpc, id) = (leaf("vpcId", &group.vpc), leaf("groupId", id));
        let rest = [about, vpc, element("ipPermissions", Vec::new()), element("ipPermissionsEgress", rules)];
        element("item", [owner, id, name].into_iter().chain(rest).collect())
    });
    Ok(document("DescribeSecurityGroupsResponse", vec![element("securityGroupInfo", items.collect())]))
}

/// Any traffic to an address range.
fn rule(range: &str) -> Node {
    let (ranges, name) = if range.contains(':') { ("ipv6Ranges", "cidrIpv6") } else { ("ipRanges", "cidrIp") };
    element("item", vec![leaf("ipProtocol", "-1"), element(ranges, vec![element("item", vec![leaf(name, range)])])])
}

//! Where something is made and with which groups: everything that a request names has to exist and to fit together.
//!
//! The texts are AWS's as people report them; where a code is from memory, a comment says so.

use super::{Request, no_option_group, no_subnet_group};
use crate::sandbox::protocol::ApiError;
use crate::sandbox::world::catalog::{self, Version};
use crate::sandbox::world::network::{DEFAULT_SECURITY_GROUP, OptionGroup, default_option_group};
use crate::sandbox::world::{Region, Settings, Storage};

/// "At least two Availability Zones in the Region".
pub(super) const MIN_ZONES: usize = 2;

fn combination(message: String) -> ApiError {
    ApiError::new(400, "InvalidParameterCombination", message)
}

/// A version of an engine that is known.
pub(super) fn version(engine: &str, number: &str) -> Result<Version, ApiError> {
    if catalog::default_version(engine).is_none() {
        return Err(ApiError::invalid(format!("Invalid DB engine: {engine}")));
    }
    catalog::find(engine, number).ok_or_else(|| combination(format!("Cannot find version {number} for {engine}")))
}

/// The version that is asked for, or the Region's default.
pub(super) fn version_or_default(engine: &str, number: Option<&str>) -> Result<Version, ApiError> {
    match number {
        Some(number) => version(engine, number),
        None => {
            catalog::default_version(engine).ok_or_else(|| ApiError::invalid(format!("Invalid DB engine: {engine}")))
        }
    }
}

/// A subnet group that exists and covers two zones.
pub(super) fn subnet_group(region: &Region, name: &str) -> Result<(), ApiError> {
    let group = region.network.subnet_groups.get(name).ok_or_else(|| no_subnet_group(name))?;
    let zones = group.zones();
    if zones.len() >= MIN_ZONES {
        return Ok(());
    }
    let covered: Vec<&str> = zones.into_iter().collect();
    Err(too_few_zones(&covered))
}

pub(super) fn too_few_zones(covered: &[&str]) -> ApiError {
    let message = format!(
        "The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement. Current AZ coverage: {}. Add \
         subnets to cover at least {MIN_ZONES} AZs.",
        covered.join(", ")
    );
    ApiError::new(400, "DBSubnetGroupDoesNotCoverEnoughAZs", message)
}

/// Security groups that exist in the VPC of the subnet group; its default one where none is named.
pub(super) fn security_groups(
    region: &Region,
    subnet_group: &str,
    wanted: Vec<String>,
) -> Result<Vec<String>, ApiError> {
    if wanted.is_empty() {
        return Ok(vec![DEFAULT_SECURITY_GROUP.to_owned()]);
    }
    let vpc = region.network.vpc_of(subnet_group);
    for id in &wanted {
        // The text is from memory.
        let unknown = || ApiError::invalid(format!("Invalid security group , groupId= {id}, groupName=."));
        let found = region.network.security_groups.get(id).map(|group| &group.vpc);
        let found = found.ok_or_else(unknown)?;
        if found != vpc {
            let message = format!(
                "The DB instance and EC2 security group are in different VPCs. The DB instance is in {vpc} and the EC2 \
                 security group is in {found}"
            );
            return Err(combination(message));
        }
    }
    Ok(wanted)
}

/// A parameter group of the version's family; the family's default where none is named.
pub(super) fn parameter_group(
    region: &Region,
    wanted: Option<&str>,
    version: Version,
    is_cluster: bool,
) -> Result<String, ApiError> {
    let Some(wanted) = wanted else { return Ok(format!("default.{}", version.family)) };
    let name = wanted.to_ascii_lowercase();
    let network = &region.network;
    let (groups, code) = if is_cluster {
        (&network.cluster_parameter_groups, "DBClusterParameterGroupNotFound")
    } else {
        (&network.parameter_groups, "DBParameterGroupNotFound")
    };
    let group = groups.get(&name);
    let group = group.ok_or_else(|| ApiError::new(404, code, format!("DBParameterGroup not found: {name}")))?;
    if group.family == version.family {
        return Ok(name);
    }
    Err(combination(format!(
        "The Parameter Group {name} with DBParameterGroupFamily {} can't be used for this instance. Please use a \
         Parameter Group with DBParameterGroupFamily {}",
        group.family, version.family
    )))
}

/// An option group of the engine and its major version that can be used in the VPC; the default where none is named,
/// unless the backup needs the options of its own.
pub(super) fn option_group(
    region: &Region,
    wanted: Option<&str>,
    version: Version,
    subnet_group: &str,
    of_backup: Option<&OptionGroup>,
) -> Result<String, ApiError> {
    let needed = of_backup.map(|group| group.options.clone()).unwrap_or_default();
    let wanted = wanted.map_or_else(|| default_option_group(version.engine, version.major), str::to_ascii_lowercase);
    let group = region.network.option_groups.get(&wanted).ok_or_else(|| no_option_group(&wanted))?;
    if group.engine != version.engine || group.major != version.major {
        let message = format!(
            "The option group {wanted} is for {} {}, not for {} {}.",
            group.engine, group.major, version.engine, version.major
        );
        return Err(combination(message));
    }
    let vpc = region.network.vpc_of(subnet_group);
    if group.vpc.as_ref().is_some_and(|of_group| of_group != vpc) {
        return Err(combination(format!(
            "The option group {wanted} is associated with a different VPC than the request"
        )));
    }
    if needed.iter().all(|option| group.options.contains(option)) {
        return Ok(wanted);
    }
    let message =
        format!("The snapshot requires a target option group with the following options: {}", needed.join(", "));
    Err(combination(message))
}

/// A class that AWS knows, that the engine runs on, and that AWS has where it is wanted.
pub(super) fn class(region: &Region, class: &str, version: Version, subnet_group: &str) -> Result<(), ApiError> {
    if !catalog::is_class(class) {
        return Err(ApiError::invalid(format!("Invalid DB Instance class: {class}")));
    }
    let orderable = catalog::classes(version.engine);
    if !orderable.iter().any(|known| known == class) {
        let message = format!(
            "RDS does not support creating a DB instance with the following combination: DBInstanceClass={class}, \
             Engine={}, EngineVersion={}, LicenseModel={}. For supported combinations of instance class and database \
             engine version, see the documentation.",
            version.engine,
            version.number,
            catalog::license(version.engine)
        );
        return Err(combination(message));
    }
    let zones = region.network.zones_of_class(class, &region.name);
    let covered = region.network.subnet_groups.get(subnet_group).map(|group| group.zones()).unwrap_or_default();
    let nowhere = !zones.iter().any(|zone| covered.contains(zone.as_str()));
    if nowhere || region.network.short_classes.contains(class) {
        // "The specified DB instance class isn't available in the specified Availability Zone" (botocore).
        let message = format!("We currently do not have sufficient {class} capacity in the zones you requested.");
        return Err(ApiError::new(400, "InsufficientDBInstanceCapacity", message));
    }
    Ok(())
}

/// Whether the account may allocate that much more.
pub(super) fn storage_quota(region: &Region, storage: &Storage, quota_gib: i64) -> Result<(), ApiError> {
    let used: i64 = region.instances.values().map(|instance| instance.settings.storage.gib).sum();
    if used + storage.gib <= quota_gib {
        return Ok(());
    }
    let message = "The request would result in the user exceeding the allowed amount of storage available across all DB \
                   instances.";
    Err(ApiError::new(400, "StorageQuotaExceeded", message))
}

/// The zone of a new instance: the one that is asked for, else the subnet group's first that has the class.
pub(super) fn zone(request: &Request<'_>, region: &Region, settings: &Settings) -> Result<String, ApiError> {
    let group = region.network.subnet_groups.get(&settings.subnet_group);
    let covered = group.map(|group| group.zones()).unwrap_or_default();
    let Some(wanted) = request.params.text("AvailabilityZone") else {
        let class = request.params.text("DBInstanceClass").unwrap_or_default();
        let with_class = region.network.zones_of_class(class, &region.name);
        let first = with_class.iter().find(|zone| covered.contains(zone.as_str()));
        return Ok(first.cloned().or_else(|| covered.first().map(|zone| (*zone).to_owned())).unwrap_or_default());
    };
    if settings.multi_az {
        let message = "Requesting a specific availability zone is not valid for Multi-AZ instances.";
        return Err(combination(message.to_owned()));
    }
    if covered.contains(wanted) {
        return Ok(wanted.to_owned());
    }
    let message = format!("The DB subnet group {} has no subnet in {wanted}.", settings.subnet_group);
    Err(combination(message))
}

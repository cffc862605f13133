//! Subnet groups, parameter groups, option groups, and what can be ordered.

use super::describe::{no_filters, paged};
use super::{Request, no_option_group, render};
use crate::sandbox::protocol::{Answer, ApiError, Node};
use crate::sandbox::world::catalog::{self, VERSIONS};
use crate::sandbox::world::{World, network::ParameterGroup};

pub(super) fn subnet_groups(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    no_filters(request)?;
    let wanted = request.params.text("DBSubnetGroupName").map(str::to_ascii_lowercase);
    let region = world.region(request.region);
    let groups = region.network.subnet_groups.values();
    let groups = groups.filter(|group| wanted.as_ref().is_none_or(|name| *name == group.name));
    let found: Vec<_> = groups.map(|group| render::subnet_group(region, group)).collect();
    match wanted {
        Some(name) if found.is_empty() => Err(super::no_subnet_group(&name)),
        _ => paged(request, "DBSubnetGroups", found),
    }
}

pub(super) fn parameter_groups(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    no_filters(request)?;
    let region = world.region(request.region);
    let render = |group: &ParameterGroup| render::parameter_group(region, group);
    let found = chosen(request, "DBParameterGroupName", region.network.parameter_groups.values(), render)?;
    paged(request, "DBParameterGroups", found)
}

pub(super) fn cluster_parameter_groups(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    no_filters(request)?;
    let region = world.region(request.region);
    let render = |group: &ParameterGroup| render::cluster_parameter_group(region, group);
    let groups = region.network.cluster_parameter_groups.values();
    let found = chosen(request, "DBClusterParameterGroupName", groups, render)?;
    paged(request, "DBClusterParameterGroups", found)
}

/// Both operations say `DBParameterGroupNotFound` (botocore).
fn chosen<'g>(
    request: &Request<'_>,
    parameter: &str,
    groups: impl Iterator<Item = &'g ParameterGroup>,
    render: impl Fn(&ParameterGroup) -> Node,
) -> Result<Vec<Node>, ApiError> {
    let wanted = request.params.text(parameter).map(str::to_ascii_lowercase);
    let found: Vec<Node> =
        groups.filter(|group| wanted.as_ref().is_none_or(|name| *name == group.name)).map(render).collect();
    match wanted {
        Some(name) if found.is_empty() => {
            let message = format!("DBParameterGroup not found: {name}");
            Err(ApiError::new(404, "DBParameterGroupNotFound", message))
        }
        _ => Ok(found),
    }
}

pub(super) fn option_groups(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    no_filters(request)?;
    let text = |name: &str| request.params.text(name);
    let (name, engine, major) = (text("OptionGroupName"), text("EngineName"), text("MajorEngineVersion"));
    // "Can't be supplied together with EngineName or MajorEngineVersion"; "EngineName must also be specified".
    if name.is_some() && (engine.is_some() || major.is_some()) {
        let message = "OptionGroupName cannot be given together with EngineName or MajorEngineVersion.";
        return Err(ApiError::new(400, "InvalidParameterCombination", message));
    }
    if major.is_some() && engine.is_none() {
        return Err(ApiError::new(400, "InvalidParameterCombination", "MajorEngineVersion needs EngineName."));
    }
    let wanted = name.map(str::to_ascii_lowercase);
    let region = world.region(request.region);
    let groups = region.network.option_groups.values();
    let groups = groups.filter(|group| {
        wanted.as_ref().is_none_or(|name| *name == group.name)
            && engine.is_none_or(|engine| engine == group.engine)
            && major.is_none_or(|major| major == group.major)
    });
    let found: Vec<_> = groups.map(|group| render::option_group(region, group)).collect();
    match wanted {
        Some(name) if found.is_empty() => Err(no_option_group(&name)),
        _ => paged(request, "OptionGroupsList", found),
    }
}

pub(super) fn orderable(world: &mut World, request: &Request<'_>) -> Result<Answer, ApiError> {
    no_filters(request)?;
    let engine = request.params.required("Engine")?;
    if catalog::default_version(engine).is_none() {
        return Err(ApiError::invalid(format!("Unrecognized engine name: {engine}")));
    }
    let (version, class) = (request.params.text("EngineVersion"), request.params.text("DBInstanceClass"));
    if request.params.boolean("Vpc") == Some(false) {
        return paged(request, "OrderableDBInstanceOptions", Vec::new());
    }
    let region = world.region(request.region);
    let versions = VERSIONS.iter().filter(|known| {
        known.engine == engine && version.is_none_or(|version| version == known.number || version == known.major)
    });
    let classes = catalog::classes(engine);
    let classes: Vec<_> = classes.iter().filter(|known| class.is_none_or(|class| class == **known)).collect();
    let nodes = versions.flat_map(|version| classes.iter().map(|class| render::orderable(region, version, class)));
    let nodes = nodes.collect();
    paged(request, "OrderableDBInstanceOptions", nodes)
}

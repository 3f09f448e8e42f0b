//! From the setting `algorithm` to the way in which a network learns.

use crate::Error;
use crate::settings::Settings;
use elman::network::LanguageModel;
use elman::online::Method;

/// What `algorithm` may be.
pub fn names() -> Vec<&'static str> {
    ["bptt"].into_iter().chain(Method::ALL.map(|(name, _)| name)).collect()
}

/// The method of learning forward in time; none: backpropagation through time.
fn method(settings: &Settings) -> Option<Method> {
    Method::ALL.into_iter().find(|(name, _)| *name == settings.text("algorithm")).map(|(_, method)| method)
}

/// The network, which learns as the settings say; with options that go with it.
pub fn network(network: LanguageModel, settings: &Settings) -> Result<LanguageModel, Error> {
    let Some(method) = method(settings) else { return Ok(network) };
    let algorithm = settings.text("algorithm");
    let given = [
        ("recompute", settings.text("recompute") != "off"),
        ("precision", settings.text("precision") != "f32"),
        ("stride", settings.integer("stride") != settings.integer("seq-len")),
    ];
    if let Some((key, _)) = given.into_iter().find(|(_, given)| *given) {
        return Err(Error::Usage(format!("algorithm {algorithm}: `{key}` has a meaning for bptt only; leave it out")));
    }
    let refused = |error| Error::Usage(format!("algorithm {algorithm}: {error}"));
    let network = network.with_online(method).map_err(refused)?;
    network.check_influence(method, settings.size("batch")).map_err(refused)?;
    Ok(network)
}

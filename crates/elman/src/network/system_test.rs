use super::*;
use crate::network::testing::numbers;
use crate::network::{DeepConfig, RmlpConfig, StackConfig, StackLayer, Windows};
use crate::regularisation::Regularisation;
use crate::train::BatchSource;
use elman_core::cells::find;

/// A model of a system is trained with the dropout and the penalties of its network, and used without.
#[test]
fn a_model_is_trained_as_its_network_is_regularised() {
    let device = Device::flex();
    let wave: Vec<f64> = (0..40).map(|t| (0.9 * f64::from(t)).sin()).collect();
    let series = Series::new(wave.clone(), 1, wave, 1).unwrap();
    let batch = Windows::new(vec![series.clone()], 20, 2, 2, 1).unwrap().next_batch().unwrap();
    let layer = |hidden| StackLayer::new((find("gru").unwrap().make)(), hidden);
    let stack =
        || StackConfig { dropout: 0.5, ..StackConfig::new(1, vec![layer(6), layer(1)]) }.init(1, &device).unwrap();
    let deep = DeepConfig::new(StackConfig { dropout: 0.5, ..StackConfig::new(1, vec![layer(6), layer(6)]) }, 1);
    let mut rmlp = RmlpConfig::new(1, &[6, 5], 1).init(1, &device).unwrap();
    let dropped = Regularisation { dropout_between: 0.5, ..Regularisation::default() };
    rmlp.hidden = rmlp.hidden.with_regularisation(dropped).unwrap();
    fn check<N: SequenceMap>(network: N, series: &Series, batch: &SeriesBatch) {
        let model = SequenceModel::new(network, 1, false).unwrap();
        let loss = |seed: u64| numbers(Network::loss(&model, batch, None, &mut Random::new(seed, "train")).0)[0];
        assert!(loss(1) == loss(1) && loss(1) != loss(2), "masks are drawn");
        assert_eq!(model.one_step(series).unwrap(), model.one_step(series).unwrap(), "and not when it is used");
    }
    check(stack(), &series, &batch);
    check(deep.init(1, &device).unwrap(), &series, &batch);
    check(rmlp, &series, &batch);
    // A penalty moves the gradient and leaves the value.
    let penalised =
        stack().with_regularisation(Regularisation { activation: 1.0, ..Regularisation::default() }).unwrap();
    assert!(penalised.training(Tensor::ones([4, 2, 1], &device), None, &mut Random::new(1, "train")).penalty.is_some());
}

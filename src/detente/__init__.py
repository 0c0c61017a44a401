"""What happens when sanctions are imposed, or lifted, by some and kept by others.

    source file ─► World ─► Economy ─┐
                                     ├─► Equilibrium ─► Outcome ─► report, CLI
    measures ───► Scenario ─► Shock ─┘
       labelled (xarray)  │      arrays only (JAX)      │        labelled again

    import detente as dt
    economy = dt.calibrate(dt.World.load())
    outcome = dt.simulate(economy, "us-relief")
    print(outcome.summary())

Names are loaded when first used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from detente.version import __version__ as __version__

_HOME = {
    "World": "world",
    "Economy": "economy",
    "calibrate": "calibration",
    "elasticity_sets": "calibration",
    "Horizon": "horizon",
    "Shock": "shock",
    "Evasion": "evasion",
    "Lifting": "measure",
    "Measure": "measure",
    "PossibleOutcome": "possible",
    "Scenario": "scenario",
    "Equilibrium": "equilibrium",
    "Result": "equilibrium",
    "balance": "equilibrium",
    "solve": "equilibrium",
    "Coalition": "senders",
    "coalition": "senders",
    "CoalitionPath": "standoff",
    "coalition_path": "standoff",
    "Outcome": "outcome",
    "Prospect": "prospect",
    "simulate": "prospect",
    "gradient": "derivatives",
    "sensitivity": "derivatives",
    "solve_many": "batch",
    "Equilibria": "batch",
    "Outcomes": "many",
    "simulate_many": "many",
    "replicate_nafta": "replication",
    "simulate_path": "transition",
    "simulate_paths": "fan",
    "write_report": "report",
    "DetenteError": "errors",
    "InputError": "errors",
    "InfeasibleError": "errors",
    "ConvergenceError": "errors",
}

__all__ = sorted([*_HOME, "__version__"])  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from detente.batch import Equilibria as Equilibria
    from detente.batch import solve_many as solve_many
    from detente.calibration import calibrate as calibrate
    from detente.calibration import elasticity_sets as elasticity_sets
    from detente.derivatives import gradient as gradient
    from detente.derivatives import sensitivity as sensitivity
    from detente.economy import Economy as Economy
    from detente.equilibrium import Equilibrium as Equilibrium
    from detente.equilibrium import Result as Result
    from detente.equilibrium import balance as balance
    from detente.equilibrium import solve as solve
    from detente.errors import ConvergenceError as ConvergenceError
    from detente.errors import DetenteError as DetenteError
    from detente.errors import InfeasibleError as InfeasibleError
    from detente.errors import InputError as InputError
    from detente.evasion import Evasion as Evasion
    from detente.fan import simulate_paths as simulate_paths
    from detente.horizon import Horizon as Horizon
    from detente.many import Outcomes as Outcomes
    from detente.many import simulate_many as simulate_many
    from detente.measure import Lifting as Lifting
    from detente.measure import Measure as Measure
    from detente.outcome import Outcome as Outcome
    from detente.possible import PossibleOutcome as PossibleOutcome
    from detente.prospect import Prospect as Prospect
    from detente.prospect import simulate as simulate
    from detente.replication import replicate_nafta as replicate_nafta
    from detente.report import write_report as write_report
    from detente.scenario import Scenario as Scenario
    from detente.senders import Coalition as Coalition
    from detente.senders import coalition as coalition
    from detente.shock import Shock as Shock
    from detente.standoff import CoalitionPath as CoalitionPath
    from detente.standoff import coalition_path as coalition_path
    from detente.transition import simulate_path as simulate_path
    from detente.world import World as World


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'detente' has no attribute {name!r}")
    value = getattr(import_module(f"detente.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__

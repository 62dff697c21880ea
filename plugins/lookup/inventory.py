# Copyright (c) 2026 the PingKiller authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: inventory
short_description: Read and check the role's variables
version_added: 0.1.0
description:
  - Reads the variables C(pingkiller_*) of a host on the controller, before the host is touched.
  - Only the role uses this lookup. It has no other use.
options:
  _terms:
    description:
      - V(name_faults) returns the faults in the names of the variables. V(filter_faults) returns the faults in the variables that describe the filters
        of the host. V(list_faults) returns the faults in the items of the lists, and V(metrics_faults) those in the variables about metrics. Faults
        are sentences. At most ten are returned, and the rest are counted.
      - V(host_faults) returns what keeps the role from working on the host, and the faults in the interfaces that the filters name. It works after the
        role has probed the host.
      - V(filters) returns the filters for the host, each as a mapping of all its options.
      - V(metrics_seconds) returns the seconds between two writes of metrics, V(0) if the variable is wrong.
      - V(deployment) returns one mapping, with C(refusal), the faults in the variables as one text, C(filters), which is empty if there are faults, and
        C(manage_packages).
      - V(allowlist) or V(blocklist) returns the variables that this list is merged from, as pairs of name and items, sorted by name.
        The filter P(pingkiller.fleet.merged_entries#filter) takes them.
    required: true
author:
  - PingKiller maintainers (@pingkiller)
"""

EXAMPLES = r"""
- name: Show the faults in the names of the variables of this host
  ansible.builtin.debug:
    msg: "{{ query('pingkiller.fleet.inventory', 'name_faults') }}"
"""

RETURN = r"""
_raw:
  description: The results for all terms.
  type: list
"""

from pathlib import Path

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.lookup import LookupBase

from ansible_collections.pingkiller.fleet.plugins.module_utils._pingkiller.kernel import schema
from ansible_collections.pingkiller.fleet.plugins.plugin_utils import _filters, _list_items, _metrics, _variables
from ansible_collections.pingkiller.fleet.plugins.plugin_utils import _preflight as preflight
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._filters import Asked
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._shown import shown

#: In a deploy, Ansible checks these by the role's argument_specs.yml, before the preflight.
_FLAGS = ("pingkiller_hide_from_traceroute", "pingkiller_manage_packages", "pingkiller_metrics")
_DEFAULTS = Path(__file__).resolve().parents[2] / "roles/pingkiller/defaults/main.yml"


class LookupModule(LookupBase):
    """Reads the variables. The checks are in plugin_utils."""

    def run(self, terms, variables=None, **kwargs):
        self.set_options(var_options=variables, direct=kwargs)
        return [each for term in terms for each in self._results(term, variables)]

    def _results(self, term, variables):
        if term in schema.LISTS:
            return self._about_lists(variables, term)
        if term == "filters":
            return _filters.filters(self._asked(variables))
        if term == "metrics_seconds":
            return [self._metrics_seconds(variables)]
        if term == "deployment":
            return [self._deployment(variables)]
        faults = {
            "name_faults": self._name_faults,
            "filter_faults": self._filter_faults,
            "list_faults": self._list_faults,
            "metrics_faults": self._metrics_faults,
            "host_faults": self._host_faults,
        }
        return faults[term](variables, variables["inventory_hostname"])

    def _about_lists(self, variables, which=""):
        return [[name, self._value(variables, name)] for name in _variables.list_variables(variables, which)]

    def _asked(self, variables):
        host_wide = {key: self._templar.template(variables["pingkiller_" + key]) for key in _filters.FILTER_KEYS}
        hidden = self._templar.template(variables["pingkiller_hide_from_traceroute"])
        return Asked(host_wide=host_wide, items=self._value(variables, "pingkiller_filters"), hidden=boolean(hidden))

    def _deployment(self, variables):
        """Return all that the role's status needs, in one step: finding faults takes longer than the whole task besides."""
        present = self._templar.template(variables["pingkiller_state"]) == "present"
        checks = ("filter_faults", "list_faults", "metrics_faults") if present else ()
        flags = {name: self._templar.template(variables[name]) for name in _FLAGS}
        faults = list(_variables.flag_faults(flags, variables["inventory_hostname"]))
        faults = faults or self.run(["name_faults", *checks], variables)
        filters = self.run(["filters"], variables) if present and not faults else []
        manage_packages = boolean(flags["pingkiller_manage_packages"], strict=False)
        return {"refusal": shown(" ".join(faults)), "filters": filters, "manage_packages": manage_packages}

    def _filter_faults(self, variables, host):
        return _variables.at_most_ten(_filters.filter_faults(self._asked(variables), host))

    def _metrics_faults(self, variables, host):
        def value(name):
            return self._templar.template(variables["pingkiller_" + name])

        asked = _metrics.Asked(
            metrics=boolean(value("metrics"), strict=False),
            persist=boolean(value("persist"), strict=False),
            directory=str(value("metrics_dir")),
            interval=value("metrics_interval"),
        )
        return _variables.at_most_ten(_metrics.faults(asked, host))

    def _metrics_seconds(self, variables):
        try:
            return _metrics.seconds(self._templar.template(variables["pingkiller_metrics_interval"]))
        except ValueError:
            return 0  # among the faults, which the status returns beside the units' marks

    def _host_faults(self, variables, host):
        def value(name):
            return self._templar.template(variables[name])

        look = value("_pingkiller_host")
        if "fault" in look:
            yield preflight.blindness(look["fault"], value("_pingkiller_probe"), host)
            return
        wish = preflight.Wish(
            config_dir=str(value("pingkiller_config_dir")),
            removal=value("pingkiller_state") != "present",
            persist=boolean(value("pingkiller_persist"), strict=False),
            manage_packages=boolean(value("pingkiller_manage_packages"), strict=False),
            package=value("_pingkiller_package"),
            persisted=lambda: value("_pingkiller_persisted"),
        )
        yield from preflight.host_faults(look, wish, host)
        interfaces = "" if wish.removal else " ".join(self._interface_faults(variables, look, host))
        if interfaces:
            yield interfaces

    def _interface_faults(self, variables, look, host):
        pairs = (pair.partition(":") for pair in look.get("alternative_names", "").split())
        own_names = {name: own for own, _colon, name in pairs}  # an interface's own name has no colon
        found = _filters.filters(self._asked(variables))
        return _filters.interface_faults(found, host, existing=look.get("interfaces", "").split(), own_names=own_names)

    def _value(self, variables, name):
        """Return the value of a variable. A blank value becomes an empty list. Omits the items that a template omits."""
        omit = variables.get("omit")  # a marker string before ansible-core 2.19
        value = self._templar.template(variables.get(name)) or []
        return [item for item in value if item != omit] if isinstance(value, list) and omit else value

    def _name_faults(self, variables, host):
        own = _variables.words(self._value(variables, "pingkiller_extra_variables"))
        known = [*self._loader.load_from_file(str(_DEFAULTS)), *own]
        return _variables.at_most_ten(_variables.name_faults(variables, known, host))

    def _list_faults(self, variables, host):
        """Return the faults of the list variables.

        Does not use the filter plugin: Ansible templates the input of a filter again, which takes longer than
        everything here.
        """
        return _list_items.merged_entries(self._about_lists(variables), host)["problems"]

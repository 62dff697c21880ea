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
        of the host. V(list_faults) returns the faults in the items of the lists. Faults are sentences. At most ten are returned, and the rest are
        counted.
      - V(interface_faults) returns the faults in the interfaces that these filters name. It works after the role has probed the host.
      - V(filters) returns the filters for the host, each as a mapping of all its options.
      - V(allowlist) or V(blocklist) returns the variables that this list is merged from, as pairs of name and items, sorted by name.
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
from ansible_collections.pingkiller.fleet.plugins.plugin_utils import _filters, _list_items, _variables
from ansible_collections.pingkiller.fleet.plugins.plugin_utils._filters import Asked

_DEFAULTS = Path(__file__).resolve().parents[2] / "roles/pingkiller/defaults/main.yml"


class LookupModule(LookupBase):
    """Reads the variables. The checks are in plugin_utils."""

    def run(self, terms, variables=None, **kwargs):
        self.set_options(var_options=variables, direct=kwargs)
        return [each for term in terms for each in self._results(term, variables)]

    def _results(self, term, variables):
        if term in schema.LISTS:
            return [[name, self._value(variables, name)] for name in _variables.list_variables(variables, term)]
        if term == "filters":
            return _filters.filters(self._asked(variables))
        faults = {
            "name_faults": self._name_faults,
            "filter_faults": self._filter_faults,
            "list_faults": self._list_faults,
            "interface_faults": self._interface_faults,
        }
        return _variables.at_most_ten(list(faults[term](variables, variables["inventory_hostname"])))

    def _asked(self, variables):
        host_wide = {key: self._templar.template(variables["pingkiller_" + key]) for key in _filters.FILTER_KEYS}
        hidden = self._templar.template(variables["pingkiller_hide_from_traceroute"])
        return Asked(host_wide=host_wide, items=self._value(variables, "pingkiller_filters"), hidden=boolean(hidden))

    def _filter_faults(self, variables, host):
        return _filters.filter_faults(self._asked(variables), host)

    def _interface_faults(self, variables, host):
        look = self._templar.template(variables["_pingkiller_host"])
        pairs = (pair.partition(":") for pair in look.get("alternative_names", "").split())
        own_names = {name: own for own, _colon, name in pairs}  # no interface's own name has a colon
        found = _filters.filters(self._asked(variables))
        return _filters.interface_faults(found, host, existing=look.get("interfaces", "").split(), own_names=own_names)

    def _value(self, variables, name):
        """Return the value of a variable: a blank one is an empty list, and items that a template omits are left out."""
        omit = variables.get("omit")  # before ansible-core 2.19, a word of its own
        value = self._templar.template(variables.get(name)) or []
        return [item for item in value if item != omit] if isinstance(value, list) and omit else value

    def _name_faults(self, variables, host):
        own = _variables.words(self._value(variables, "pingkiller_extra_variables"))
        known = [*self._loader.load_from_file(str(_DEFAULTS)), *own]
        return _variables.name_faults(variables, known, host)

    def _list_faults(self, variables, host):
        for name in _variables.list_variables(variables):
            yield from _list_items.list_faults(name, self._value(variables, name), host)

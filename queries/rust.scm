(function_item name: (identifier) @function.name) @function
(function_signature_item name: (identifier) @function.name) @function
(struct_item name: (type_identifier) @class.name) @class
(enum_item name: (type_identifier) @class.name) @class
(union_item name: (type_identifier) @class.name) @class
(trait_item name: (type_identifier) @class.name) @class
(trait_item bounds: (trait_bounds (type_identifier) @base))
(impl_item type: [(type_identifier) @scope.name
                  (generic_type type: (type_identifier) @scope.name)]) @scope
(impl_item trait: [(type_identifier) (scoped_type_identifier)] @base)
(impl_item trait: (generic_type type: (_) @base))
(mod_item name: (identifier) @scope.name body: (_)) @scope
(mod_item !body) @import
(use_declaration) @import
(const_item name: (identifier) @variable)
(static_item name: (identifier) @variable)
(call_expression function: [(identifier) (scoped_identifier) (field_expression)] @call)
(call_expression function: (generic_function function: (_) @call))

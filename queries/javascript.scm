(class_declaration name: (identifier) @class.name) @class
(class_heritage [(identifier) (member_expression)] @base)
(field_definition
  property: (property_identifier) @function.name
  value: [(arrow_function) (function_expression)]) @function

-- Which CANIS may use the store after a step: one that knows the schema up to `needs`. A step that only adds what older ones can do
-- without names a lower one than itself; one that names none means itself.
ALTER TABLE canis_schema ADD COLUMN needs INT;
UPDATE canis_schema SET needs = step;

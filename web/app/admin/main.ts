import "../src/console/main";
